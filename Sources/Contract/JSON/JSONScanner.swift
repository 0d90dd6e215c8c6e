/// Takes JSON's strings, numbers and marks from bytes; it knows nothing of the values that are made of them.
struct JSONScanner {
    /// A number as it stood there.
    enum Number {
        case whole(Int64)
        case fraction(String)
    }

    private let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The byte behind white space, which is skipped; nil at the end.
    var next: UInt8? {
        mutating get {
            while let byte = peek {
                guard byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D else { return byte }
                position += 1
            }
            return nil
        }
    }

    /// Steps over the byte that `next` gave.
    mutating func skip() { position += 1 }

    /// Steps over white space, and over `byte` if it stands there.
    mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    mutating func word(_ text: String) throws(WireError) {
        guard bytes[position...].starts(with: text.utf8) else { throw failure("'\(text)' is expected") }
        position += text.utf8.count
    }

    mutating func number() throws(WireError) -> Number {
        let start = position
        let isNegative = takeHere(UInt8(ascii: "-"))
        let firstDigit = peek
        let digits = digits()
        guard digits > 0, digits == 1 || firstDigit != UInt8(ascii: "0") else { throw failure(Self.noNumber) }
        let isFraction = takeHere(UInt8(ascii: "."))
        if isFraction, self.digits() == 0 { throw failure(Self.noNumber) }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") { throw failure("write the number out, without 'e'") }
        guard position - start <= 32 else { throw failure("a number of more than 32 characters") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isFraction { return .fraction(text) }
        guard let number = Int64(text) else { throw failure("a number does not fit 64 bits") }
        guard !(isNegative && number == 0) else { throw failure("zero has no sign") }
        return .whole(number)
    }

    private static let noNumber = "not a number as JSON writes it"

    /// Steps over digits and counts them.
    private mutating func digits() -> Int {
        let start = position
        while case .some(0x30...0x39) = peek { position += 1 }
        return position - start
    }

    /// The string whose quotation mark is next.
    mutating func string() throws(WireError) -> String {
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
        guard (0xD800..<0xDC00).contains(first), takeHere(UInt8(ascii: "\\")), takeHere(UInt8(ascii: "u")) else {
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

    /// The byte at the position, white space too.
    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Steps over `byte` if it stands at the position; inside strings and numbers white space is no gap.
    private mutating func takeHere(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    /// An error that names the place.
    func failure(_ reason: String) -> WireError {
        let before = bytes[..<min(position, bytes.count)]
        let line = before.count { $0 == 0x0A } + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return WireError("not valid JSON in line \(line), column \(column): \(reason)")
    }
}
