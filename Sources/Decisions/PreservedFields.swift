/// JSON that this program does not understand and hands on unchanged.
enum PreservedValue: Sendable, Codable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([PreservedValue])
    case object([String: PreservedValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([PreservedValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: PreservedValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// A coding key of any name.
struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// The fields of a JSON object that the program does not know: read, kept, and written back.
///
/// A newer program's record may pass through an older one, as after a rollback, and must not lose what it said.
struct PreservedFields: Sendable, Equatable {
    private var fields: [String: PreservedValue] = [:]

    init() {}

    init<Key: CodingKey & CaseIterable>(from decoder: any Decoder, besides known: Key.Type) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        let names = Set(known.allCases.map(\.stringValue))
        for key in container.allKeys where !names.contains(key.stringValue) {
            fields[key.stringValue] = try container.decode(PreservedValue.self, forKey: key)
        }
    }

    func encode(to encoder: any Encoder) throws {
        guard !fields.isEmpty else { return }
        var container = encoder.container(keyedBy: AnyKey.self)
        for (name, value) in fields { try container.encode(value, forKey: AnyKey(name)) }
    }
}
