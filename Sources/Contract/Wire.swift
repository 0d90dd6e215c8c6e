import FoundationEssentials

/// The version that every record, plan, state and message carries in its field `format`.
///
/// A program reads the version before and after its own and keeps fields that it does not know.
public let wireFormat = 1

/// Upper bounds of what either side accepts, in bytes unless the name says otherwise.
public enum WireLimit {
    /// Ends of the audit log that a node remembers.
    public static let auditHeads = 24
    /// A JSON request or reply other than those below.
    public static let message = 1 << 20
    /// A release's signed manifest.
    public static let manifest = 1 << 20
    /// A release's frame table.
    public static let frameTable = 64 << 20
    /// One chunk of a node's log.
    public static let logChunk = 256 << 10
    /// How long a long poll may be held open, in seconds.
    public static let longPollSeconds = 55
}

/// Why a message was refused.
public struct WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong and where, as a sentence.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }
}

/// Encodes and decodes the JSON of this contract: bounded, with errors that name the field.
public enum Wire {
    /// Encodes with sorted keys, so that equal values have equal bytes.
    public static func encode(_ value: some Encodable) throws(WireError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return Array(try encoder.encode(value))
        } catch {
            throw WireError("cannot encode \(type(of: value)): \(error)")
        }
    }

    /// Decodes at most `limit` bytes; the error names the field and what was expected there.
    public static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Collection<UInt8>, limit: Int = WireLimit.message
    ) throws(WireError) -> Value {
        guard bytes.count <= limit else {
            throw WireError("a message of \(bytes.count) bytes is larger than the \(limit) that are accepted")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw WireError(sentence(for: error))
        } catch {
            throw WireError("not valid JSON")
        }
    }

    /// A type as JSON's users call it.
    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "text"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is any Collection.Type: "\(type)".hasPrefix("Dictionary") ? "an object" : "a list"
        default: "a \(type)"
        }
    }

    private static func sentence(for error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty ? "the message" : "field '\(path.map(\.stringValue).joined(separator: "."))'"
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "field '\((context.codingPath + [key]).map(\.stringValue).joined(separator: "."))' is missing"
        case .typeMismatch(let type, let context):
            return "\(place(context.codingPath)) is not \(name(of: type))"
        case .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) is null where \(name(of: type)) is expected"
        case .dataCorrupted(let context):
            return "\(place(context.codingPath)) is not valid: \(context.debugDescription)"
        @unknown default:
            return "not a valid message"
        }
    }
}

/// The body of every error reply of the API.
public struct APIError: Error, Sendable, Codable, Equatable {
    /// A stable word for programs, such as `token-expired`.
    public var code: String
    /// A sentence that says what is wrong and what to do.
    public var message: String
    /// Everything that is wrong, a sentence each, where a document was refused; nil otherwise.
    public var problems: [String]?

    /// Makes an error from its code and its sentence.
    public init(code: String, message: String, problems: [String]? = nil) {
        self.code = code
        self.message = message
        self.problems = problems
    }
}
