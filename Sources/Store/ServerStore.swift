/// Why the store did not do what was asked of it.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What failed and what to do, as a sentence.
    public var description: String

    /// Makes an error from its sentence.
    public init(_ description: String) { self.description = description }
}

/// The disk that the store lies on is full: nothing of the write was kept, and nothing that was there is lost.
public struct StoreFull: Error, Sendable, Equatable, CustomStringConvertible {
    /// What to do, as a sentence.
    public var description: String { "the disk that the database lies on is full; make room there" }

    /// Makes the error.
    public init() {}
}

/// The store may only be read: nothing of the write was kept.
public struct StoreReadOnly: Error, Sendable, Equatable, CustomStringConvertible {
    /// What to do, as a sentence.
    public var description: String {
        "the database can only be read; mount the disk that it lies on for writing, and let its owner write it"
    }

    /// Makes the error.
    public init() {}
}

/// Everything that the server remembers.
///
/// Work happens in transactions: either all that a body did is durable when `write` returns, or nothing of it.
public protocol ServerStore: Sendable {
    /// Runs a body that only reads, on one consistent snapshot.
    func read<Value: Sendable>(_ body: @escaping @Sendable (any StoreTransaction) throws -> Value) async throws -> Value

    /// Runs a body that may write, alone; its changes are durable on return, or undone if it throws.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreTransaction) throws -> Value
    ) async throws -> Value
}

/// All tables, within one transaction.
public protocol StoreTransaction: NodeTable, RegistrationTable, TokenTable, ReleaseTable, EventTable, CommandTable,
    LogTable, SettingTable, WorkloadTable, SecretTable, AssignmentTable, AccessTable, AuditTable
{}

/// Few values with a name each, such as the default release of an architecture.
public protocol SettingTable {
    /// The value of a name, or nil.
    func setting(_ name: String) throws -> String?

    /// Sets the value of a name; nil removes it.
    func setSetting(_ name: String, to value: String?) throws
}
