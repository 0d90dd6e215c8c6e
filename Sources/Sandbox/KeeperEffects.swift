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
    /// Where the runtime keeps what runs.
    public var runtimeRoot: String
    /// Sends reports; called after every look, the same ones included.
    public var report: @Sendable (WorkloadReports) -> Void
    /// Tells people something.
    public var tell: @Sendable (String) -> Void
    /// Tells the keeper's own thread what another thread found out.
    var post: @Sendable (KeeperMessage) -> Void = { _ in }
    /// Loads the AppArmor profile and gives its name; nil where the kernel has no AppArmor.
    public var loadProfile: @Sendable () throws -> String?

    /// Makes the effects of a real node.
    public init(
        places: NodePlaces = NodePlaces(), units: any UnitManager = SystemdUnits(),
        fetcher: any ImageFetcher = SystemdFetcher(), mounter: any ImageMounter = VerityImages(),
        networkPrefix: [String] = [], runtimeRoot: String = SystemdUnit.runtimeRoot,
        loadProfile: @escaping @Sendable () throws -> String? = AppArmorLoader.load,
        report: @escaping @Sendable (WorkloadReports) -> Void, tell: @escaping @Sendable (String) -> Void
    ) {
        self.places = places
        self.units = units
        self.fetcher = fetcher
        self.mounter = mounter
        self.networkPrefix = networkPrefix
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

/// Loads the profile of all workloads into the kernel, by `apparmor_parser(8)`.
public enum AppArmorLoader {
    /// Loads it and gives its name; nil on a kernel without AppArmor.
    public static func load() throws -> String? {
        let flag = try? Files.readText("/sys/module/apparmor/parameters/enabled", limitBytes: 16)
        guard flag == "Y" else { return nil }
        let parser = "/usr/sbin/apparmor_parser"
        guard Files.exists(parser) else { throw SandboxError("'\(parser)' is not installed") }
        let outcome = try Processes.run(
            parser, ["--replace", "--skip-cache"], input: Array(AppArmor.profile.utf8), timeoutSeconds: 60)
        guard outcome.succeeded else { throw SandboxError("apparmor_parser \(outcome.summary)") }
        return AppArmor.profileName
    }
}
