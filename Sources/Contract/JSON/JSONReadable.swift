/// A type whose values are read from strict JSON (RFC 8259); an enum's cases fit the requirements as they are.
///
/// Its reader is one for metadata that is signed and documents that people write: whatever two readers could understand
/// differently is refused, and time and memory are bounded by the bytes, the depth and the number of values.
public protocol JSONReadable {
    /// `null`.
    static var null: Self { get }
    /// `true` or `false`.
    static func bool(_ flag: Bool) -> Self
    /// A whole number.
    static func integer(_ number: Int64) -> Self
    /// A number with a fraction, as it was written; nil where only whole numbers are accepted.
    static func fraction(_ text: String) -> Self?
    /// A string.
    static func string(_ text: String) -> Self
    /// An array.
    static func array(_ elements: [Self]) -> Self
    /// An object.
    static func object(_ members: [String: Self]) -> Self
}

/// What a JSON document may cost.
public struct JSONLimits: Sendable {
    /// Bytes of the document.
    public var bytes: Int
    /// How deep arrays and objects may stand in one another.
    public var depth: Int
    /// How many values there may be, arrays and objects counted too.
    public var values: Int

    /// Makes limits.
    public init(bytes: Int, depth: Int, values: Int = .max) {
        self.bytes = bytes
        self.depth = depth
        self.values = values
    }
}

extension JSONReadable {
    /// Reads one JSON document strictly.
    ///
    /// Refused: what is larger, deeper or more than the limits; an object with a key twice, also where Unicode calls two
    /// spellings equivalent; whole numbers that do not fit 64 bits, minus zero, exponents; text that is not UTF-8,
    /// control characters and lone surrogates; anything after the document. The error names the line and the column.
    public init(parsing bytes: [UInt8], limits: JSONLimits) throws(WireError) {
        guard bytes.count <= limits.bytes else {
            throw WireError("a document of \(bytes.count) bytes is larger than the \(limits.bytes) that are accepted")
        }
        var reader = JSONReader<Self>(bytes: bytes, limits: limits)
        self = try reader.document()
    }
}

/// A recursive-descent reader whose recursion is bounded.
private struct JSONReader<Value: JSONReadable> {
    private var scanner: JSONScanner
    private let depthLimit: Int
    private var valuesLeft: Int

    init(bytes: [UInt8], limits: JSONLimits) {
        scanner = JSONScanner(bytes: bytes)
        depthLimit = limits.depth
        valuesLeft = limits.values
    }

    mutating func document() throws(WireError) -> Value {
        let value = try value(depth: 0)
        guard scanner.next == nil else { throw scanner.failure("something follows the document") }
        return value
    }

    private mutating func value(depth: Int) throws(WireError) -> Value {
        guard depth <= depthLimit else { throw scanner.failure("values are nested deeper than \(depthLimit)") }
        guard valuesLeft > 0 else { throw scanner.failure("the document has too many values") }
        valuesLeft -= 1
        switch scanner.next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try scanner.string())
        case UInt8(ascii: "t"):
            try scanner.word("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try scanner.word("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try scanner.word("null")
            return .null
        case .some(UInt8(ascii: "-")), .some(0x30...0x39): return try number()
        default: throw scanner.failure("a value is expected")
        }
    }

    private mutating func number() throws(WireError) -> Value {
        switch try scanner.number() {
        case .whole(let number): return .integer(number)
        case .fraction(let text):
            guard let value = Value.fraction(text) else { throw scanner.failure("only whole numbers are accepted") }
            return value
        }
    }

    private mutating func array(depth: Int) throws(WireError) -> Value {
        var elements: [Value] = []
        scanner.skip()
        if scanner.take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth + 1))
            if scanner.take(UInt8(ascii: "]")) { return .array(elements) }
            guard scanner.take(UInt8(ascii: ",")) else {
                throw scanner.failure("a comma or the array's end is expected")
            }
        }
    }

    private mutating func object(depth: Int) throws(WireError) -> Value {
        var members: [String: Value] = [:]
        scanner.skip()
        if scanner.take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            guard scanner.next == UInt8(ascii: "\"") else { throw scanner.failure("a key is expected") }
            let key = try scanner.string()
            guard scanner.take(UInt8(ascii: ":")) else { throw scanner.failure("a colon is expected") }
            let member = try value(depth: depth + 1)
            guard members.updateValue(member, forKey: key) == nil else {
                throw scanner.failure("the key '\(key.prefix(40))' stands twice in one object")
            }
            if scanner.take(UInt8(ascii: "}")) { return .object(members) }
            guard scanner.take(UInt8(ascii: ",")) else {
                throw scanner.failure("a comma or the object's end is expected")
            }
        }
    }
}
