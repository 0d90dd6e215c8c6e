extension JSONValue {
    /// Parses one JSON document (RFC 8259) strictly.
    ///
    /// Refused: more than `limit` bytes, values nested deeper than `maximumDepth`, an object with a key twice,
    /// numbers that are not whole or do not fit 64 bits, text that is not UTF-8, lone surrogates, anything after the
    /// document. The error names the offset in bytes.
    public init(parsing bytes: [UInt8], limit: Int, maximumDepth: Int = 32) throws(ReleaseError) {
        guard bytes.count <= limit else {
            throw ReleaseError("a document of \(bytes.count) bytes is larger than the \(limit) that are accepted")
        }
        var parser = JSONParser(bytes: bytes, maximumDepth: maximumDepth)
        self = try parser.document()
    }
}

/// A recursive-descent parser whose recursion is bounded.
private struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private var position = 0

    init(bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    mutating func document() throws(ReleaseError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the document") }
        return value
    }

    private mutating func value(depth: Int) throws(ReleaseError) -> JSONValue {
        guard depth <= maximumDepth else { throw failure("values are nested deeper than \(maximumDepth)") }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case .some(let byte) where byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte):
            return .integer(try integer())
        default: throw failure("a value is expected")
        }
    }

    private mutating func object(depth: Int) throws(ReleaseError) -> JSONValue {
        position += 1
        var members: [String: JSONValue] = [:]
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

    private mutating func array(depth: Int) throws(ReleaseError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or the array's end is expected") }
        }
    }

    private mutating func word(_ text: String, _ value: JSONValue) throws(ReleaseError) -> JSONValue {
        guard bytes[position...].starts(with: text.utf8) else { throw failure("'\(text)' is expected") }
        position += text.utf8.count
        return value
    }

    private mutating func integer() throws(ReleaseError) -> Int64 {
        let start = position
        let negative = take(UInt8(ascii: "-"))
        let digits = position
        while let byte = peek, (0x30...0x39).contains(byte) { position += 1 }
        let text = String(decoding: bytes[digits..<position], as: UTF8.self)
        guard !text.isEmpty, text == "0" || !text.hasPrefix("0"), !(negative && text == "0") else {
            throw failure("not a number as JSON writes it")
        }
        if let byte = peek, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(byte) {
            throw failure("only whole numbers are accepted")
        }
        guard let number = Int64(String(decoding: bytes[start..<position], as: UTF8.self)) else {
            throw failure("a number does not fit 64 bits")
        }
        return number
    }

    private mutating func string() throws(ReleaseError) -> String {
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

    private mutating func escape(into text: inout [UInt8]) throws(ReleaseError) {
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

    private mutating func escapedScalar() throws(ReleaseError) -> Unicode.Scalar {
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

    private mutating func fourDigits() throws(ReleaseError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
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
        while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private func failure(_ reason: String) -> ReleaseError {
        ReleaseError("not valid JSON at byte \(position): \(reason)")
    }
}
