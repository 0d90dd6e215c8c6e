import Contract

/// A JSON value without floating-point numbers: all that OLPC canonical JSON can carry.
///
/// Object keys that Unicode calls equivalent count as one key, so that no two readers can disagree about a document.
public enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number.
    case integer(Int64)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object.
    case object([String: JSONValue])

    /// The member of an object; nil where this is no object or has no such member.
    public subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    /// The bytes of OLPC canonical JSON, over which signatures and names are computed: keys in the order of their
    /// UTF-8 bytes, no white space, and only `"` and `\` escaped (http://wiki.laptop.org/go/Canonical_JSON).
    public var canonical: [UInt8] {
        var writer = JSONWriter(escapesControls: false)
        writer.write(self)
        return writer.bytes
    }

    /// The bytes of ordinary JSON (RFC 8259) with sorted keys and no white space.
    ///
    /// It differs from `canonical` where a string has control characters, which ordinary JSON must escape.
    public var encoded: [UInt8] {
        var writer = JSONWriter(escapesControls: true)
        writer.write(self)
        return writer.bytes
    }
}

/// Writes JSON values.
private struct JSONWriter {
    let escapesControls: Bool
    var bytes: [UInt8] = []

    init(escapesControls: Bool) { self.escapesControls = escapesControls }

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: bytes += "null".utf8
        case .bool(let flag): bytes += (flag ? "true" : "false").utf8
        case .integer(let number): bytes += String(number).utf8
        case .string(let text): bytes.appendJSON(text, escapesControls: escapesControls)
        case .array(let elements): write(elements)
        case .object(let members): write(members)
        }
    }

    private mutating func write(_ elements: [JSONValue]) {
        bytes.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(element)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func write(_ members: [String: JSONValue]) {
        bytes.append(UInt8(ascii: "{"))
        let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        for (index, member) in sorted.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.appendJSON(member.key, escapesControls: escapesControls)
            bytes.append(UInt8(ascii: ":"))
            write(member.value)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}
