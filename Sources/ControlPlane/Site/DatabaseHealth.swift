import Contract
import Foundation
import HTTPTypes
import Logging
import Store

/// Finds out whether the database can be read and written, by doing both.
///
/// Anyone may ask, and often: what was found holds for some seconds, and those who ask meanwhile wait for one attempt.
actor DatabaseHealth {
    /// The file system that the database lies on.
    struct Room: Sendable {
        var freeBytes: UInt64
        var isReadOnly: Bool

        /// Of the file system that holds `path`; nil where it does not tell.
        static func at(_ path: String) -> Room? {
            var facts = statvfs()
            guard statvfs(path, &facts) == 0, facts.f_blocks > 0 else { return nil }
            // What a file system reserves for root, root may use.
            let free = geteuid() == 0 ? facts.f_bfree : facts.f_bavail
            let isReadOnly = UInt(facts.f_flag) & UInt(ST_RDONLY) != 0
            return Room(freeBytes: UInt64(free) * UInt64(facts.f_frsize), isReadOnly: isReadOnly)
        }
    }

    /// How long what was found holds.
    static let holds: Duration = .seconds(5)
    /// With less room than this, in bytes, a write that just fits is followed by one that does not.
    static let leastFreeBytes: UInt64 = 1 << 20
    /// What is written.
    static let setting = "health-checked"

    private let store: any ServerStore
    private let room: @Sendable () -> Room?
    private let clock: @Sendable () -> ContinuousClock.Instant
    private var found: (failure: APIFailure?, at: ContinuousClock.Instant)?
    private var attempt: Task<APIFailure?, Never>?

    /// Makes it over a store, what tells the room beside it, and a clock.
    init(
        store: any ServerStore, room: @escaping @Sendable () -> Room?,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.store = store
        self.room = room
        self.clock = clock
    }

    /// What is wrong, and what to do; nil where nothing is.
    func failure(_ logger: Logger) async -> APIFailure? {
        if let found, clock() - found.at < Self.holds { return found.failure }
        if let attempt { return await attempt.value }
        let (store, room) = (store, room)
        let task = Task { await Self.look(store, room(), logger) }
        attempt = task
        let failure = await task.value
        attempt = nil
        found = (failure, clock())
        return failure
    }

    private static func look(_ store: any ServerStore, _ room: Room?, _ logger: Logger) async -> APIFailure? {
        do {
            _ = try await store.read { try $0.setting(setting) }
        } catch {
            logger.error("the database cannot be read", metadata: ["error": "\(error)"])
            return unhealthy("database-unreadable", "the server cannot read its database; its log says why")
        }
        if let room, room.isReadOnly { return readOnly }
        if let room, room.freeBytes < leastFreeBytes { return full }
        do {
            let time = "\(Int64(Date().timeIntervalSince1970))"
            try await store.write { try $0.setSetting(setting, to: time) }
            return nil
        } catch is StoreFull {
            return full
        } catch is StoreReadOnly {
            return readOnly
        } catch {
            logger.error("the database cannot be written", metadata: ["error": "\(error)"])
            return unhealthy(
                "database-unwritable",
                "the server cannot write its database; its log says why: look at the disk that its data directory lies on"
            )
        }
    }

    private static var full: APIFailure {
        unhealthy(
            "disk-full", "the disk that the server's data directory lies on is full; make room there, nothing is lost")
    }

    private static var readOnly: APIFailure {
        unhealthy(
            "disk-read-only",
            "the server's database can only be read; look at the disk that its data directory lies on (dmesg), mount it "
                + "for writing again, and let apusd's user write there")
    }

    private static func unhealthy(_ code: String, _ sentence: String) -> APIFailure {
        APIFailure(.serviceUnavailable, code, sentence, headers: [.retryAfter: "10", .cacheControl: "no-store"])
    }
}
