import Glibc

/// Waiting for what other programs do.
enum Waiting {
    /// Gives other programs time; returns false where the lab was asked to end.
    static func rest(milliseconds: Int32) -> Bool {
        _ = poll(nil, 0, milliseconds)
        return !Interruption.isRequested
    }
}
