internal import Glibc

/// The environment that this process was started with, and its standard error.
public enum ProcessEnvironment {
    /// All variables; of one given twice, the first counts, as for getenv(3).
    public static func all() -> [String: String] {
        var found: [String: String] = [:]
        // The list ends with a null pointer; the bound is against one that does not.
        for index in 0..<4096 {
            guard let text = environ[index] else { break }
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, found[String(parts[0])] == nil { found[String(parts[0])] = String(parts[1]) }
        }
        return found
    }

    /// Writes a line to standard error.
    public static func complain(_ line: String) {
        var line = line + "\n"
        // Nowhere is left to report that this failed: ignoring.
        _ = line.withUTF8 { Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
