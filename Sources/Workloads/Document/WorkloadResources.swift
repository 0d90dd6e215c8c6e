/// What a workload may use. Everything has a default, and every default is a limit.
public struct WorkloadResources: Sendable, Hashable {
    /// `mem_limit`: memory in bytes, tmpfs and page cache included; there is no swap. Default 256 MiB.
    public var memoryBytes: UInt64 = 256 << 20
    /// `cpus`: thousandths of a processor. Default one processor.
    public var milliCPUs = 1000
    /// `pids_limit`: processes and threads. Default 256.
    public var pids = 256
    /// `blkio_config`: shares and ceilings of disk traffic.
    public var io = WorkloadIO()
    /// `shm_size`: the tmpfs at `/dev/shm`, in bytes. Default 64 MiB, or a quarter of the memory where that is less.
    public var shmBytes: UInt64 = 64 << 20
    /// `storage_opt.size`: the writable root of a workload that may have one, in bytes. Default 256 MiB.
    public var diskBytes: UInt64 = 256 << 20
    /// `logging.options.max-size`: what is kept of its log, in bytes. Default 10 MiB.
    public var logBytes: UInt64 = 10 << 20
    /// `ulimits.nofile`: open files of a process, soft and hard. Default 1024 and 65536.
    public var openFiles = ResourceLimit(soft: 1024, hard: 65_536)
    /// `ulimits.memlock`: bytes of memory that a process may lock. Default 64 KiB.
    public var lockedBytes = ResourceLimit(soft: 64 << 10, hard: 64 << 10)
    /// `ulimits.core`: size of a core dump in bytes. Default none.
    public var coreBytes = ResourceLimit(soft: 0, hard: 0)

    /// The defaults.
    public init() {}

    init(_ reader: inout DocumentReader) {
        self.init()
        if let value = reader.take("mem_limit")?.bytes(8 << 20...16 << 40) { memoryBytes = value }
        if let item = reader.take("cpus") { milliCPUs = Self.milliCPUs(item) ?? milliCPUs }
        if let value = reader.take("pids_limit")?.integer(1...32_768) { pids = value }
        if let item = reader.take("blkio_config"), var inner = DocumentReader(item) { io = WorkloadIO(&inner) }
        shmBytes = min(64 << 20, memoryBytes / 4)
        if let item = reader.take("shm_size"), let value = item.bytes(64 << 10...16 << 40) {
            shmBytes = value
            if value > memoryBytes { item.fail("is above mem_limit, which shared memory counts to") }
        }
        if let item = reader.take("storage_opt"), var inner = DocumentReader(item) {
            diskBytes = inner.require("size", "a size such as 1g")?.bytes(1 << 20...16 << 40) ?? diskBytes
            inner.finish()
        }
        if let item = reader.take("logging"), var inner = DocumentReader(item) {
            if let options = inner.take("options"), var fields = DocumentReader(options) {
                logBytes = fields.take("max-size")?.bytes(64 << 10...10 << 30) ?? logBytes
                fields.finish()
            }
            inner.finish(hints: ["driver": "logs go to the node's journal"])
        }
        if let item = reader.take("ulimits"), var inner = DocumentReader(item) {
            openFiles = ResourceLimit(inner.take("nofile"), 16...1_048_576) ?? openFiles
            lockedBytes = ResourceLimit(inner.take("memlock"), 0...1 << 44) ?? lockedBytes
            coreBytes = ResourceLimit(inner.take("core"), 0...1 << 34) ?? coreBytes
            inner.finish(hints: ["nproc": "use pids_limit, which counts the whole workload"])
        }
    }

    private static func milliCPUs(_ item: DocumentItem) -> Int? {
        let text: String? =
            switch item.value {
            case .integer(let number): String(number)
            case .decimal(let text), .string(let text): text
            default: nil
            }
        guard let value = text.flatMap(WorkloadUnits.milliCPUs), (10...1_024_000).contains(value) else {
            item.fail("allowed is a number of processors from 0.01 to 1024 with at most three digits after the point")
            return nil
        }
        return value
    }

    /// The fields as a document has them.
    var fields: [String: DocumentValue] {
        [
            "mem_limit": .string(WorkloadUnits.text(bytes: memoryBytes)),
            "cpus": .string(WorkloadUnits.text(milliCPUs: milliCPUs)),
            "pids_limit": .integer(Int64(pids)),
            "blkio_config": io.value,
            "shm_size": .string(WorkloadUnits.text(bytes: shmBytes)),
            "storage_opt": .object(["size": .string(WorkloadUnits.text(bytes: diskBytes))]),
            "logging": .object(["options": .object(["max-size": .string(WorkloadUnits.text(bytes: logBytes))])]),
            "ulimits": .object([
                "nofile": openFiles.value, "memlock": lockedBytes.value, "core": coreBytes.value,
            ]),
        ]
    }
}

/// A soft and a hard limit (`getrlimit(2)`).
public struct ResourceLimit: Sendable, Hashable {
    /// What a process starts with.
    public var soft: UInt64
    /// How far it may raise that.
    public var hard: UInt64

    /// Makes a limit.
    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }

    /// One number for both, or an object of both, as the Compose Specification has it.
    init?(_ item: DocumentItem?, _ range: ClosedRange<Int>) {
        guard let item else { return nil }
        if case .integer = item.value {
            guard let both = item.integer(range) else { return nil }
            self.init(soft: UInt64(both), hard: UInt64(both))
            return
        }
        guard var reader = DocumentReader(item) else { return nil }
        let soft = reader.require("soft", "a whole number")?.integer(range)
        let hard = reader.require("hard", "a whole number")?.integer(range)
        reader.finish()
        guard let soft, let hard else { return nil }
        if soft > hard { item.fail("the soft limit is above the hard one") }
        self.init(soft: UInt64(soft), hard: UInt64(hard))
    }

    var value: DocumentValue { .object(["soft": .integer(Int64(soft)), "hard": .integer(Int64(hard))]) }
}

/// Shares and ceilings of disk traffic.
public struct WorkloadIO: Sendable, Hashable {
    /// `weight`: its share among others, 10 to 1000. Default 100; a node's own services have more.
    public var weight = 100
    /// `read_bps`: bytes read in a second; nil for no ceiling beside the share.
    public var readBytesPerSecond: UInt64?
    /// `write_bps`: bytes written in a second.
    public var writeBytesPerSecond: UInt64?
    /// `read_iops`: read operations in a second.
    public var readOperationsPerSecond: Int?
    /// `write_iops`: write operations in a second.
    public var writeOperationsPerSecond: Int?

    /// The defaults.
    public init() {}

    init(_ reader: inout DocumentReader) {
        weight = reader.take("weight")?.integer(10...1000) ?? weight
        readBytesPerSecond = reader.take("read_bps")?.bytes(64 << 10...1 << 40)
        writeBytesPerSecond = reader.take("write_bps")?.bytes(64 << 10...1 << 40)
        readOperationsPerSecond = reader.take("read_iops")?.integer(10...10_000_000)
        writeOperationsPerSecond = reader.take("write_iops")?.integer(10...10_000_000)
        let hint = "ceilings hold for the node's state disk: use read_bps, write_bps, read_iops and write_iops"
        reader.finish(hints: [
            "device_read_bps": hint, "device_write_bps": hint, "device_read_iops": hint, "device_write_iops": hint,
        ])
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = ["weight": .integer(Int64(weight))]
        fields["read_bps"] = readBytesPerSecond.map { .string(WorkloadUnits.text(bytes: $0)) }
        fields["write_bps"] = writeBytesPerSecond.map { .string(WorkloadUnits.text(bytes: $0)) }
        fields["read_iops"] = readOperationsPerSecond.map { .integer(Int64($0)) }
        fields["write_iops"] = writeOperationsPerSecond.map { .integer(Int64($0)) }
        return .object(fields)
    }
}
