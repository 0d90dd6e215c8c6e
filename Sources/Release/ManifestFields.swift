internal import Contract

/// Reads the members of one JSON object, and names the field in every error.
struct ManifestFields {
    let object: JSONValue
    let place: String

    private func failure(_ key: String, _ expected: String) -> ReleaseError {
        ReleaseError("field '\(place)\(key)' is missing or is not \(expected)")
    }

    func expect(_ key: String, _ value: String) throws(ReleaseError) {
        guard object[key] == .string(value) else { throw failure(key, "'\(value)'") }
    }

    func object(_ key: String) throws(ReleaseError) -> ManifestFields {
        guard case .object? = object[key], let member = object[key] else { throw failure(key, "an object") }
        return ManifestFields(object: member, place: "\(place)\(key).")
    }

    func integer(_ key: String, _ range: ClosedRange<Int64>) throws(ReleaseError) -> Int64 {
        guard case .integer(let value)? = object[key], range.contains(value) else {
            throw failure(key, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func text(_ key: String, _ length: ClosedRange<Int>) throws(ReleaseError) -> String {
        guard case .string(let text)? = object[key], length.contains(text.utf8.count) else {
            throw failure(key, "a text of \(length.lowerBound) to \(length.upperBound) bytes")
        }
        return text
    }

    /// A text of letters, digits and `.`, `_`, `+`, `~`, `-` that starts with a letter or digit: it stands on kernel
    /// command lines and in file names.
    func word(_ key: String, _ length: ClosedRange<Int>) throws(ReleaseError) -> String {
        let text = try text(key, length)
        let first = text.utf8.first ?? 0
        guard text.utf8.allSatisfy(Self.isWordByte), !".-_+~".utf8.contains(first) else {
            throw failure(key, "a word of letters, digits and . _ + ~ - that starts with a letter or digit")
        }
        return text
    }

    func timestamp(_ key: String) throws(ReleaseError) -> Int64 {
        guard let seconds = Timestamp.parse(try text(key, 20...20)) else {
            throw failure(key, "a time such as 2027-01-31T12:00:00Z")
        }
        return seconds
    }

    func digest(_ key: String) throws(ReleaseError) -> Digest256 {
        guard case .string(let text)? = object[key], let digest = Digest256(hex: text) else {
            throw failure(key, "64 lower-case hexadecimal digits")
        }
        return digest
    }

    func bytes(_ key: String, _ count: ClosedRange<Int>) throws(ReleaseError) -> [UInt8] {
        guard case .string(let text)? = object[key], let bytes = [UInt8](lowercaseHex: text),
            count.contains(bytes.count)
        else {
            throw failure(key, "\(count.lowerBound) to \(count.upperBound) bytes in lower-case hexadecimal digits")
        }
        return bytes
    }

    func architecture(_ key: String) throws(ReleaseError) -> Architecture {
        guard case .string(let text)? = object[key], let architecture = Architecture(rawValue: text) else {
            throw failure(key, "'amd64' or 'arm64'")
        }
        return architecture
    }

    func file(_ key: String, _ size: ClosedRange<UInt64>) throws(ReleaseError) -> Manifest.File {
        let fields = try object(key)
        let range = Int64(clamping: size.lowerBound)...Int64(clamping: size.upperBound)
        return Manifest.File(
            bytes: UInt64(try fields.integer("bytes", range)), sha256: try fields.digest("sha256"))
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "._+~-".utf8.contains(byte)
        }
    }
}
