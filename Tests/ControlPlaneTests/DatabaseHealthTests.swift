import Contract
import HTTPTypes
import Logging
import Store
import Synchronization
import Testing

@testable import ControlPlane

struct DatabaseHealthTests {
    private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// A real store whose disk does what a test says.
    private final class MoodyStore: ServerStore {
        struct Broken: Error {}

        private let store: SQLiteStore
        let writes = Mutex(0)
        let readFailure = Mutex<(any Error)?>(nil)
        let writeFailure = Mutex<(any Error)?>(nil)

        init(_ store: SQLiteStore) { self.store = store }

        func read<Value: Sendable>(
            _ body: @escaping @Sendable (any StoreTransaction) throws -> Value
        ) async throws -> Value {
            if let failure = readFailure.withLock({ $0 }) { throw failure }
            return try await store.read(body)
        }

        func write<Value: Sendable>(
            _ body: @escaping @Sendable (any StoreTransaction) throws -> Value
        ) async throws -> Value {
            writes.withLock { $0 += 1 }
            if let failure = writeFailure.withLock({ $0 }) { throw failure }
            return try await store.write(body)
        }
    }

    private final class Bench: Sendable {
        let scratch: ScratchDirectory
        let store: MoodyStore
        let room = Mutex<DatabaseHealth.Room?>(DatabaseHealth.Room(freeBytes: 1 << 30, isReadOnly: false))
        let time = Mutex(ContinuousClock.now)

        init() throws {
            scratch = try ScratchDirectory()
            store = MoodyStore(try SQLiteStore(path: scratch.path + "/apusd.sqlite"))
        }

        func health() -> DatabaseHealth {
            DatabaseHealth(
                store: store, room: { [self] in room.withLock { $0 } }, clock: { [self] in time.withLock { $0 } })
        }
    }

    @Test func whatWasFoundHoldsForSecondsAndIsFoundOnce() async throws {
        let bench = try Bench()
        let health = bench.health()
        let logger = quiet
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { await health.failure(logger) == nil } }
            for await isFine in group { #expect(isFine) }
        }
        #expect(bench.store.writes.withLock { $0 } == 1)
        bench.store.writeFailure.withLock { $0 = StoreFull() }
        #expect(await health.failure(logger) == nil)
        bench.time.withLock { $0 += DatabaseHealth.holds }
        #expect(await health.failure(logger)?.error.code == "disk-full")
        bench.store.writeFailure.withLock { $0 = nil }
        #expect(await health.failure(logger) != nil)
        bench.time.withLock { $0 += DatabaseHealth.holds }
        #expect(await health.failure(logger) == nil)
        #expect(bench.store.writes.withLock { $0 } == 3)
    }

    @Test func everyReasonSaysWhatToDo() async throws {
        let bench = try Bench()
        func found() async throws -> APIFailure { try #require(await bench.health().failure(quiet)) }
        bench.room.withLock { $0 = DatabaseHealth.Room(freeBytes: 1000, isReadOnly: false) }
        #expect(try await found().error.code == "disk-full")
        #expect(try await found().error.message.contains("make room"))
        bench.room.withLock { $0 = DatabaseHealth.Room(freeBytes: 1 << 30, isReadOnly: true) }
        #expect(try await found().error.code == "disk-read-only")
        #expect(bench.store.writes.withLock { $0 } == 0)
        bench.room.withLock { $0 = nil }
        #expect(await bench.health().failure(quiet) == nil, "a file system that tells nothing is written to")
        bench.store.writeFailure.withLock { $0 = StoreReadOnly() }
        #expect(try await found().error.code == "disk-read-only")
        bench.store.writeFailure.withLock { $0 = MoodyStore.Broken() }
        #expect(try await found().error.code == "database-unwritable")
        bench.store.readFailure.withLock { $0 = MoodyStore.Broken() }
        let failure = try await found()
        #expect(failure.error.code == "database-unreadable" && failure.status == .serviceUnavailable)
    }
}
