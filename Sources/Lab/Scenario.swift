/// A rehearsal of something that happens to real machines.
public struct Scenario: Sendable {
    /// Its name on the command line and in `RESULT` lines.
    public let name: String
    /// What it shows, in one line.
    public let summary: String
    /// Whether it starts from the node that `provision-pxe` installed.
    public let needsInstalledNode: Bool
    /// The releases that it upgrades to, which are built while others play.
    let releases: [LabRelease]
    let run: @Sendable (Rehearsal) throws -> Void

    init(
        _ name: String, _ summary: String, needsInstalledNode: Bool, releases: [LabRelease] = [],
        run: @escaping @Sendable (Rehearsal) throws -> Void
    ) {
        self.releases = releases
        self.name = name
        self.summary = summary
        self.needsInstalledNode = needsInstalledNode
        self.run = run
    }

    /// The scenarios that show that something works; `provision-pxe` is first, since others start from what it leaves.
    public static let all: [Scenario] =
        Provisioning.scenarios + Upgrading.scenarios + RollingBack.scenarios + Refusing.scenarios
        + Recovering.scenarios + BadInput.scenarios + RunningWorkloads.scenarios
        + RunningFunctions.scenarios + RunningMachines.scenarios
        + Attacking.scenarios + AttackingUnguarded.scenarios + HostileImages.scenarios + Auditing.scenarios

    /// Those, and what measures: it proves nothing, and takes its time.
    public static let known = all + [Benchmarking.scenario]

    /// Names that stand for several scenarios; such a name has a `RESULT` line of its own.
    public static let groups = [
        "rollback-hang": ["rollback-hang-init", "rollback-hang-systemd", "rollback-hang-agent"]
    ]

    /// The scenario of that name.
    public static func named(_ name: String) -> Scenario? { known.first { $0.name == name } }
}
