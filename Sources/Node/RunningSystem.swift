public import Contract
internal import Linux

/// What `apus-init` tells the installed system's agent about this start, in `/run/apus`.
public struct RunningSystem: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The slot that runs.
    public var slot: SlotName
    /// The number of the `Boot####` entry that the firmware started; nil where it is not known, as after kexec.
    public var bootEntry: UInt16?
    /// Whether the firmware (true) or kexec (false) started this kernel.
    public var startedByFirmware: Bool
    /// The kernel's name of the disk in use, such as `vda`.
    public var disk: String
    /// What was noticed and repaired on the way, for the server.
    public var events: [NodeEvent]

    /// Describes a start.
    public init(
        slot: SlotName, bootEntry: UInt16?, startedByFirmware: Bool, disk: String, events: [NodeEvent]
    ) {
        self.slot = slot
        self.bootEntry = bootEntry
        self.startedByFirmware = startedByFirmware
        self.disk = disk
        self.events = events
    }

    /// The folder of what early boot and the agent tell each other; in memory, gone with a restart.
    public static let directory = "/run/apus"
    /// The device-mapper name of the running root.
    public static let rootDeviceName = "apus-root"

    private static let bootFile = directory + "/boot.json"
    private static let deadlineFile = directory + "/deadline"
    private static let committedFile = directory + "/committed"
    /// How long after the agent's deadline the guardian resets the machine: the agent is given the first word, because
    /// it can say why.
    public static let guardianGraceSeconds: Int64 = 30

    /// Writes the facts of this start; `root` is where the new root is mounted, or an empty string.
    public func save(root: String = "") throws {
        try Files.makeDirectory(root + Self.directory, mode: 0o700)
        try Files.writeDurably(try Wire.encode(self), to: root + Self.bootFile)
    }

    /// Reads the facts of this start.
    public static func load(root: String = "") throws -> RunningSystem {
        try Wire.decode(RunningSystem.self, from: try Files.read(root + bootFile))
    }

    /// The uptime in seconds at which the version on trial is given up, as the guardian knows it; nil: no trial.
    public static func deadlineSeconds(root: String = "") -> Int64? {
        guard let text = try? Files.readText(root + deadlineFile, limitBytes: 64) else { return nil }
        return Int64(text)
    }

    /// Tells the guardian the uptime in seconds at which the version on trial is given up.
    public static func setDeadline(seconds: Int64, root: String = "") throws {
        try Files.writeDurably(Array("\(seconds)\n".utf8), to: root + deadlineFile)
    }

    /// Tells the guardian that it is no longer needed.
    public static func releaseGuardian(root: String = "") throws {
        try Files.writeDurably([], to: root + committedFile)
    }

    /// Whether the guardian is no longer needed.
    public static func isGuardianReleased(root: String = "") -> Bool { Files.exists(root + committedFile) }
}
