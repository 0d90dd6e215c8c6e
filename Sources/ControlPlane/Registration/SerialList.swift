/// A file of serial numbers that are admitted without a token, one a line; `#` begins a comment.
///
/// Read anew for each registration, so that an operator only edits it. A list that cannot be read admits nobody.
enum SerialList {
    /// The largest list, in bytes.
    static let largestBytes = 4 << 20

    static func read(_ path: String?) -> Set<String> {
        guard let path, let bytes = try? DurableFile.read(path, limit: largestBytes) else { return [] }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        return Set(lines.compactMap(serial))
    }

    private static func serial(_ line: Substring) -> String? {
        let serial = SMBIOSIdentity.trimmed(String(line.prefix { $0 != "#" }))
        return serial.isEmpty ? nil : serial
    }
}
