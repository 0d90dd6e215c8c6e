import Contract
import GRDB

/// One open transaction. The queries of each table are extensions beside it.
struct SQLiteTransaction: StoreTransaction {
    let database: Database
}

/// Reads columns as the contract's types; a value that does not fit is an error that names the column.
extension Row {
    func text(_ column: String) throws -> String {
        guard let value: String = self[column] else { throw StoreError("column '\(column)' is null") }
        return value
    }

    func number(_ column: String) throws -> Int64 {
        guard let value: Int64 = self[column] else { throw StoreError("column '\(column)' is null") }
        return value
    }

    func integer(_ column: String) throws -> Int { Int(try number(column)) }

    func bytes(_ column: String) throws -> UInt64 {
        guard let value = UInt64(exactly: try number(column)) else {
            throw StoreError("column '\(column)' is negative")
        }
        return value
    }

    func flag(_ column: String) throws -> Bool { try number(column) != 0 }

    func digest(_ column: String) throws -> Digest256 {
        guard let value = Digest256(hex: try text(column)) else { throw StoreError("column '\(column)' is no digest") }
        return value
    }

    func optionalDigest(_ column: String) throws -> Digest256? {
        let value: String? = self[column]
        return value == nil ? nil : try digest(column)
    }

    func nodeID(_ column: String) throws -> NodeID {
        guard let value = NodeID(try text(column)) else { throw StoreError("column '\(column)' is no node id") }
        return value
    }

    func optionalNodeID(_ column: String) throws -> NodeID? {
        let value: String? = self[column]
        return value == nil ? nil : try nodeID(column)
    }

    func word<Value: RawRepresentable>(_ column: String, as type: Value.Type) throws -> Value
    where Value.RawValue == String {
        guard let value = Value(rawValue: try text(column)) else {
            throw StoreError("column '\(column)' has an unknown word")
        }
        return value
    }

    func document<Value: Decodable>(_ column: String, as type: Value.Type) throws -> Value {
        try Wire.decode(type, from: Array(try text(column).utf8))
    }

    func optionalDocument<Value: Decodable>(_ column: String, as type: Value.Type) throws -> Value? {
        let value: String? = self[column]
        return try value.map { try Wire.decode(type, from: Array($0.utf8)) }
    }
}

/// The text of a JSON column.
func documentText(_ value: some Encodable) throws -> String {
    String(decoding: try Wire.encode(value), as: UTF8.self)
}
