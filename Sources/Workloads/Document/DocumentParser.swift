public import Contract

extension DocumentValue {
    /// Parses one JSON document (RFC 8259) strictly.
    ///
    /// Refused: more than `limit` bytes, more than `maximumValues` values, nesting deeper than `maximumDepth`, an
    /// object with a key twice, text that is not UTF-8, control characters and lone surrogates, anything after the
    /// document. The error names the line and the column.
    public init(
        parsing bytes: [UInt8], limit: Int = WorkloadLimit.documentBytes, maximumDepth: Int = 16,
        maximumValues: Int = 20_000
    ) throws(WireError) {
        guard bytes.count <= limit else {
            throw WireError("a document of \(bytes.count) bytes is larger than the \(limit) that are accepted")
        }
        var parser = DocumentParser(bytes: bytes, maximumDepth: maximumDepth, valuesLeft: maximumValues)
        self = try parser.document()
    }
}

/// A recursive-descent parser whose recursion and size are bounded.
private struct DocumentParser {
    let bytes: [UInt8]
    let maximumDepth: Int
    var valuesLeft: Int
    var position = 0

    mutating func document() throws(WireError) -> DocumentValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the document") }
        return value
    }

    private mutating func value(depth: Int) throws(WireError) -> DocumentValue {
        guard depth <= maximumDepth else { throw failure("values are nested deeper than \(maximumDepth)") }
        guard valuesLeft > 0 else { throw failure("the document has too many values") }
        valuesLeft -= 1
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case .some(UInt8(ascii: "-")), .some(0x30...0x39): return try number()
        default: throw failure("a value is expected")
        }
    }

    private mutating func object(depth: Int) throws(WireError) -> DocumentValue {
        position += 1
        var members: [String: DocumentValue] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw failure("a key is expected") }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("a colon is expected") }
            let member = try value(depth: depth + 1)
            guard members.updateValue(member, forKey: key) == nil else {
                throw failure("the key '\(key.prefix(40))' stands twice in one object")
            }
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or the object's end is expected") }
        }
    }

    private mutating func array(depth: Int) throws(WireError) -> DocumentValue {
        position += 1
        var elements: [DocumentValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or the array's end is expected") }
        }
    }

    private mutating func word(_ text: String, _ value: DocumentValue) throws(WireError) -> DocumentValue {
        guard bytes[position...].starts(with: text.utf8) else { throw failure("'\(text)' is expected") }
        position += text.utf8.count
        return value
    }

    private mutating func number() throws(WireError) -> DocumentValue {
        let start = position
        let isNegative = take(UInt8(ascii: "-"))
        let whole = digits()
        guard !whole.isEmpty, whole == "0" || !whole.hasPrefix("0") else { throw failure("not a number of JSON") }
        var isDecimal = false
        if take(UInt8(ascii: ".")) {
            guard !digits().isEmpty else { throw failure("not a number of JSON") }
            isDecimal = true
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") { throw failure("write the number out, without 'e'") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard text.utf8.count <= 32 else { throw failure("a number of more than 32 characters") }
        if isDecimal { return .decimal(text) }
        guard let number = Int64(text), !(isNegative && number == 0) else {
            throw failure("a number does not fit 64 bits")
        }
        return .integer(number)
    }

    private mutating func digits() -> String {
        let start = position
        while case .some(0x30...0x39) = peek { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func string() throws(WireError) -> String {
        position += 1
        var text: [UInt8] = []
        while true {
            guard let byte = peek else { throw failure("a string is not ended") }
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw failure("not valid UTF-8") }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure("a control character stands in a string")
            default: text.append(byte)
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(WireError) {
        guard let byte = peek else { throw failure("a string is not ended") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += String(Character(try escapedScalar())).utf8
        default: throw failure("an unknown escape stands in a string")
        }
    }

    private mutating func escapedScalar() throws(WireError) -> Unicode.Scalar {
        let first = try fourDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw failure("a surrogate stands alone")
        }
        let second = try fourDigits()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw failure("a surrogate stands alone") }
        return scalar
    }

    private mutating func fourDigits() throws(WireError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, byte < 0x80, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("four hexadecimal digits are expected")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private func failure(_ reason: String) -> WireError {
        let before = bytes[..<min(position, bytes.count)]
        let line = before.count { $0 == 0x0A } + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return WireError("not valid JSON in line \(line), column \(column): \(reason)")
    }
}
