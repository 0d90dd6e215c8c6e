/// What only a function has.
public struct FunctionSettings: Sendable, Hashable {
    /// `timeout`: the longest call, in milliseconds. Default 3 s, at most 15 minutes.
    public var timeoutMilliseconds: Int64 = 3000
    /// `init_timeout`: the longest initialisation, in milliseconds. Default 10 s.
    public var initTimeoutMilliseconds: Int64 = 10_000
    /// `concurrency`: instances at once. Default 10.
    public var concurrency = 10
    /// `queue`: calls that may wait for an instance. Default 100.
    public var queue = 100
    /// `idle`: how long an instance is kept frozen without a call, in milliseconds. Default 10 minutes.
    public var idleMilliseconds: Int64 = 600_000
    /// `base_image`: the image that the zip runs on, at `/var/task`, which `image` names then; nil where `image` is an
    /// OCI image itself.
    public var baseImage: WorkloadImage?
    /// `handler`: what `_HANDLER` says. Default `bootstrap`.
    public var handler = "bootstrap"
    /// `tmp_size`: the size of `/tmp` in bytes. Default 64 MiB.
    public var tmpBytes: UInt64 = 64 << 20
    /// `url`: a path of the node's function URL, such as `/resize`; nil for none.
    public var urlPath: String?
    /// `schedule`: cron expressions.
    public var schedules: [String] = []
    /// `events`: kinds of node events that call it.
    public var events: [String] = []

    /// The defaults.
    public init() {}

    init(_ item: DocumentItem, requiresDigest: Bool) {
        self.init()
        guard var reader = DocumentReader(item) else { return }
        timeoutMilliseconds = reader.take("timeout")?.milliseconds(100...900_000) ?? timeoutMilliseconds
        initTimeoutMilliseconds = reader.take("init_timeout")?.milliseconds(100...900_000) ?? initTimeoutMilliseconds
        concurrency = reader.take("concurrency")?.integer(1...1000) ?? concurrency
        queue = reader.take("queue")?.integer(0...10_000) ?? queue
        idleMilliseconds = reader.take("idle")?.milliseconds(0...86_400_000) ?? idleMilliseconds
        baseImage = reader.take("base_image")?.image(requiresDigest: requiresDigest)
        handler =
            reader.take("handler")?.parsed("a text of at most 128 bytes without spaces", limit: 128) {
                !$0.isEmpty && $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? $0 : nil
            } ?? handler
        tmpBytes = reader.take("tmp_size")?.bytes(1 << 20...10 << 30) ?? tmpBytes
        urlPath = reader.take("url")?.parsed("an absolute path in its shortest form") {
            WorkloadPath.isAbsolute($0) ? $0 : nil
        }
        schedules = reader.take("schedule")?.list(limit: 16)?.compactMap { $0.text(limit: 128) } ?? []
        events =
            reader.take("events")?.list(limit: 32)?.compactMap { item in
                item.parsed("an event's kind, such as node.online", limit: 64) { WorkloadLabels.isKey($0) ? $0 : nil }
            } ?? []
        reader.finish()
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = [
            "timeout": .string(WorkloadUnits.text(milliseconds: timeoutMilliseconds)),
            "init_timeout": .string(WorkloadUnits.text(milliseconds: initTimeoutMilliseconds)),
            "concurrency": .integer(Int64(concurrency)), "queue": .integer(Int64(queue)),
            "idle": .string(WorkloadUnits.text(milliseconds: idleMilliseconds)), "handler": .string(handler),
            "tmp_size": .string(WorkloadUnits.text(bytes: tmpBytes)),
            "schedule": .array(schedules.map { .string($0) }), "events": .array(events.map { .string($0) }),
        ]
        fields["base_image"] = baseImage.map { .string($0.description) }
        fields["url"] = urlPath.map { .string($0) }
        return .object(fields)
    }
}

/// What only a virtual machine has.
public struct MachineSettings: Sendable, Hashable {
    /// `firmware`: how it starts. Default UEFI.
    public var firmware = Firmware.uefi
    /// `disk_size`: the size of its disk in bytes; nil keeps the image's.
    public var diskBytes: UInt64?
    /// `cmdline`: the kernel's arguments with `firmware: kernel`.
    public var kernelArguments = ""
    /// `user_data`: cloud-init's user data for the NoCloud seed.
    public var userData: String?

    /// How a machine starts.
    public enum Firmware: String, Sendable, Hashable, CaseIterable {
        /// From its disk by UEFI, on a `q35` machine.
        case uefi
        /// From a kernel and an initramfs in its image, on a `microvm` machine where there is KVM, else on `q35`.
        case kernel
    }

    /// The defaults.
    public init() {}

    init(_ item: DocumentItem) {
        self.init()
        guard var reader = DocumentReader(item) else { return }
        firmware = reader.take("firmware")?.choice(Firmware.self) ?? firmware
        diskBytes = reader.take("disk_size")?.bytes(1 << 20...64 << 40)
        if let item = reader.take("cmdline") {
            kernelArguments = item.text(limit: 2048) ?? ""
            if firmware != .kernel { item.fail("needs firmware: kernel") }
        }
        userData = reader.take("user_data")?.text(limit: 64 << 10)
        reader.finish()
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = ["firmware": .string(firmware.rawValue)]
        fields["disk_size"] = diskBytes.map { .string(WorkloadUnits.text(bytes: $0)) }
        if !kernelArguments.isEmpty { fields["cmdline"] = .string(kernelArguments) }
        fields["user_data"] = userData.map { .string($0) }
        return .object(fields)
    }
}

extension DocumentItem {
    /// An image; without a digest only where the reader resolves tags.
    func image(requiresDigest: Bool) -> WorkloadImage? {
        guard let image = parsed(WorkloadImage.allowed, WorkloadImage.init) else { return nil }
        if requiresDigest, image.digest == nil {
            fail(
                "names a tag; allowed is an image by digest, @sha256: and 64 digits, which the server resolves tags to")
            return nil
        }
        return image
    }
}
