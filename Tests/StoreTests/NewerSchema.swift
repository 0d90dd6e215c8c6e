import GRDB

@testable import Store

extension Schema {
    /// Marks a file as if a later version of the program had migrated it.
    static func pretendNewer(_ path: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99')") }
        try queue.close()
    }
}
