internal import Linux
public import Workloads

/// What the keeper acts through; a node's real ones, or a test's.
public struct KeeperEffects: Sendable {
    /// Where things are.
    public var places: NodePlaces
    /// Who runs units.
    public var units: any UnitManager
    /// Who fetches images.
    public var fetcher: any ImageFetcher
    /// Who mounts them.
    public var mounter: any ImageMounter
    /// Words before commands that concern the node's network.
    public var networkPrefix: [String]
    /// The network namespace of the node; nil for the one that the program runs in.
    public var networkNamespace: String?
    /// Files that name the servers that the node asks for names, in the form of resolv.conf(5): the first one that names
    /// any is used. systemd-resolved keeps its own list of them beside the file that leads to itself.
    public var serverFiles = ["/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"]
    /// Bounds of looking names up.
    var nameLimits = NameRelay.Limits()
    /// Where the runtime keeps what runs.
    public var runtimeRoot: String
    /// The port of the node where functions' URLs are served; 0 lets the kernel choose.
    public var functionPort: UInt16 = Self.standardFunctionPort
    /// Writes a line of the platform into a function's log.
    public var functionLog: @Sendable (_ function: String, _ line: String) -> Void = { FunctionJournal.write($0, $1) }
    /// The agent's own program, which machines are asked to end by.
    public var agentProgram = "/usr/lib/apus/apus-agent"
    /// What the node offers machines.
    var machineHost: @Sendable () -> MachineHost = { MachineHost.look() }
    /// Sends reports; called after every look, the same ones included.
    public var report: @Sendable (WorkloadReports) -> Void
    /// Tells people something.
    public var tell: @Sendable (String) -> Void
    /// Tells the keeper's own thread what another thread found out.
    var post: @Sendable (KeeperMessage) -> Void = { _ in }
    /// Loads the AppArmor profile and gives its name; nil where the kernel has no AppArmor.
    public var loadProfile: @Sendable () throws -> String?

    /// The port of the node where functions' URLs are served.
    public static let standardFunctionPort: UInt16 = 9900

    /// Makes the effects of a real node.
    public init(
        places: NodePlaces = NodePlaces(), units: any UnitManager = SystemdUnits(),
        fetcher: any ImageFetcher = SystemdFetcher(), mounter: any ImageMounter = VerityImages(),
        networkPrefix: [String] = [], networkNamespace: String? = nil, runtimeRoot: String = SystemdUnit.runtimeRoot,
        loadProfile: @escaping @Sendable () throws -> String? = AppArmorLoader.load,
        report: @escaping @Sendable (WorkloadReports) -> Void, tell: @escaping @Sendable (String) -> Void
    ) {
        self.places = places
        self.units = units
        self.fetcher = fetcher
        self.mounter = mounter
        self.networkPrefix = networkPrefix
        self.networkNamespace = networkNamespace
        self.runtimeRoot = runtimeRoot
        self.loadProfile = loadProfile
        self.report = report
        self.tell = tell
    }

    /// The clock that does not stop in suspend, and systemd's.
    func now() -> (bootMilliseconds: Int64, monotonicMicroseconds: UInt64) {
        (Clock.bootMilliseconds(), UInt64(max(0, Clock.monotonicMilliseconds())) * 1000)
    }
}

/// Loads the profile of all workloads, which the OS holds compiled, into the kernel.
public enum AppArmorLoader {
    /// The compiled profile.
    private static let policy = "/usr/lib/apus/workload.apparmor"
    /// Where the kernel takes profiles, each with one write (Linux, security/apparmor/apparmorfs.c).
    private static let kernel = "/sys/kernel/security/apparmor/.replace"

    /// Loads it and gives its name; nil on a kernel without AppArmor.
    public static func load() throws -> String? {
        let flag = try? Files.readText("/sys/module/apparmor/parameters/enabled", limitBytes: 16)
        guard flag?.first == "Y" else { return nil }
        guard Files.exists(policy) else { throw SandboxError("this system's image has no '\(policy)'") }
        let bytes = try Files.read(policy, limitBytes: 4 << 20)
        try OwnedDescriptor(opening: kernel, .write).write(bytes)
        return AppArmor.profileName
    }
}
