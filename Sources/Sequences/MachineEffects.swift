public import Contract
public import Decisions

/// The machine in early boot.
public protocol MachineEffect: AnyObject {
    /// Mounts `/proc`, `/sys`, `/dev`, `/run` and efivarfs; each only where it is missing.
    func mountFilesystems() throws
    /// Arms the watchdog and keeps feeding it while this program works. Without one it says so and returns.
    func armWatchdog() throws
    /// Loads drivers by modalias and waits until the devices that are there have settled.
    func loadDrivers() throws
    /// Reads the kernel command line.
    func bootArguments() throws -> BootArguments
    /// SHA-256 of the public key of the site's CA that this artifact or medium trusts.
    func site() -> Digest256?
    /// Takes the inventory.
    func inventory() throws -> Inventory
}

/// How a boot ends. In the real machine a call that succeeds does not return.
public protocol PowerEffect: AnyObject {
    /// Syncs and restarts through the firmware.
    func reboot() throws
    /// Syncs and switches off.
    func powerOff() throws
    /// Verifies the target's UKI against the record, loads its kernel, and starts it; throws where that cannot be done.
    func kexec(_ target: StartTarget) throws
    /// Sets up verity, mounts root and state, leaves the guardian for a slot on trial, hands the watchdog over, and
    /// switches root.
    func start(_ slot: SlotStart) throws
}

/// The network in early boot.
public protocol NetworkEffect: AnyObject {
    /// Brings an interface up, from the command line, the medium or DHCP, and remembers what worked.
    func bringUp() throws
    /// Finds the server's address: command line, then medium or artifact, then DHCP.
    func findEndpoint() throws
    /// Raises the clock to a floor that is known to be past: build, last stored time, then the server's own.
    func setClockFloor() throws
}

/// The server, as a machine that is not yet a node sees it.
public protocol RegistrationEffect: AnyObject {
    /// Registers, or registers again with the key that was found, and shows the challenge code.
    func register(_ inventory: Inventory) throws
    /// Waits for the server's word, for ever where a person must act. The node's id once it is admitted.
    func waitForAdmission() throws -> NodeID
    /// Fetches the plan and verifies its signature.
    func plan() throws -> ProvisioningPlan
    /// The registration's id, once there is one.
    var registrationID: String { get }
}

/// Where steps and lines go: console, log and, once it is reached, the server. Never throws and never blocks for long.
public protocol ReportEffect: AnyObject {
    /// A step's state changed.
    func step(_ report: StepReport)
    /// A line for people.
    func log(_ line: String)
    /// Hands on what is still queued, waiting a bounded time.
    func flush()
}

/// Time that passes.
public protocol ClockEffect: AnyObject {
    /// Milliseconds since the machine was started (CLOCK_BOOTTIME).
    var uptimeMilliseconds: Int64 { get }
    /// Wall-clock seconds since 1970.
    var nowSeconds: Int64 { get }
    /// Returns after that many milliseconds.
    func wait(milliseconds: Int64)
    /// A random number for jitter, evenly spread over 0..<bound.
    func random(below bound: Int64) -> Int64
}
