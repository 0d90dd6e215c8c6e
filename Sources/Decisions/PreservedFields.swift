import Contract

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
    private var fields: [String: AnyJSON] = [:]

    init() {}

    init<Key: CodingKey & CaseIterable>(from decoder: any Decoder, besides known: Key.Type) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        let names = Set(known.allCases.map(\.stringValue))
        for key in container.allKeys where !names.contains(key.stringValue) {
            fields[key.stringValue] = try container.decode(AnyJSON.self, forKey: key)
        }
    }

    func encode(to encoder: any Encoder) throws {
        guard !fields.isEmpty else { return }
        var container = encoder.container(keyedBy: AnyKey.self)
        for (name, value) in fields { try container.encode(value, forKey: AnyKey(name)) }
    }
}
