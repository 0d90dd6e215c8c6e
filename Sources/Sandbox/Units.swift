public import Workloads

/// What systemd says of one unit. Times are microseconds of the monotonic clock; 0 for never.
public struct UnitStatus: Sendable, Hashable {
    /// The unit's name with suffix.
    public var name: String
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    public var activeState: String
    /// What exactly, such as `auto-restart`.
    public var subState: String
    /// How it ended: `success`, `exit-code`, `signal`, `oom-kill` and so on (systemd.service(5)).
    public var result: String
    /// The status or signal that the main process ended with.
    public var mainStatus: Int32
    /// How often systemd restarted it.
    public var restarts: Int
    /// When it became active last.
    public var activeSinceMicroseconds: UInt64
    /// When its state changed last.
    public var changedMicroseconds: UInt64
    /// The main process; 0 for none.
    public var mainProcess: Int32
    /// Its control group below the file system's root; empty for none.
    public var controlGroup: String
    /// Whether systemd is about to do something with it.
    public var hasJob: Bool

    /// Describes a unit.
    public init(
        name: String, activeState: String, subState: String = "", result: String = "success", mainStatus: Int32 = 0,
        restarts: Int = 0, activeSinceMicroseconds: UInt64 = 0, changedMicroseconds: UInt64 = 0,
        mainProcess: Int32 = 0, controlGroup: String = "", hasJob: Bool = false
    ) {
        self.name = name
        self.activeState = activeState
        self.subState = subState
        self.result = result
        self.mainStatus = mainStatus
        self.restarts = restarts
        self.activeSinceMicroseconds = activeSinceMicroseconds
        self.changedMicroseconds = changedMicroseconds
        self.mainProcess = mainProcess
        self.controlGroup = controlGroup
        self.hasJob = hasJob
    }
}

/// Whoever runs units: systemd on a node. Every call is bounded in time; none waits for a unit's end.
public protocol UnitManager: Sendable {
    /// All units of workloads that are loaded, those that failed included.
    func units() throws -> [UnitStatus]

    /// Sets what all workloads together may take. Asked once before the first unit starts.
    func limitSlice(_ properties: [UnitProperty]) throws

    /// Starts a unit, over what is left of an earlier one of its name.
    func start(_ unit: SystemdUnit) throws

    /// Tells a unit to stop, and to be killed when that takes longer than so many milliseconds.
    func stop(_ name: String, graceMilliseconds: Int64) throws

    /// Kills all that a unit runs, at once.
    func kill(_ name: String) throws

    /// Stops all processes of a unit where they are, or lets them go on (cgroup.freeze); returns at once.
    func setFrozen(_ name: String, _ isFrozen: Bool) throws

    /// Forgets a unit that has ended.
    func forget(_ name: String) throws

    /// The command line that runs words inside a unit's limits instead of the agent's.
    func inside(_ unit: UnitStatus, _ words: [String]) -> [String]
}
