public import Decisions
public import Sequences
internal import Slots

/// The boot record on the disk in use, for real.
public final class NodeBootRecord: BootRecordEffect {
    private let use: DiskInUse

    /// Makes it over the disk in use.
    public init(_ use: DiskInUse) { self.use = use }

    /// Reads the newest copy that holds.
    public func load() -> RecordReading {
        guard let disk = use.disk else { return .missing }
        do {
            let store = try BootRecordStore(try disk.open(.record, writable: false))
            guard let record = try store.read() else { return .missing }
            return .valid(record)
        } catch {
            return .unreadable("\(error)")
        }
    }

    /// Replaces the older copy, flushed and read back.
    public func store(_ record: BootRecord) throws {
        try BootRecordStore(try use.get().open(.record, writable: true)).write(record)
    }
}
