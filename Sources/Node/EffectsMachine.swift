public import Contract
internal import Cryptography
public import Decisions
internal import Linux
public import Sequences

/// The machine in early boot, for real.
public final class NodeMachine: MachineEffect {
    /// Where the boot artifact keeps the site's facts.
    static let artifactTrustPath = "/etc/apus/trust.json"
    /// Modules that no device asks for, one a line, in order.
    static let moduleListPath = "/etc/apus/modules"
    /// Watchdogs, and the buses that they hang on.
    private static let watchdogModules: Set<String> = [
        "lpc_ich", "i2c_i801", "i2c_smbus", "iTCO_wdt", "sp5100_tco", "wdat_wdt", "hpwdt", "i6300esb",
    ]

    /// Buses hang on buses a few levels deep.
    private static let driverRounds = 16

    private let context: EarlyContext
    private let use: DiskInUse
    private var loader: ModuleLoader?

    /// Makes it over what was learnt so far and the disk in use.
    public init(_ context: EarlyContext, _ use: DiskInUse) {
        self.context = context
        self.use = use
    }

    /// Mounts what is missing of `/proc`, `/sys`, `/dev`, `/run` and `/tmp`.
    public func mountFilesystems() throws {
        try Mounts.mountEarly()
        try Files.makeDirectory(RunningSystem.directory, mode: 0o700)
    }

    /// Loads the watchdogs' drivers first, as the kernel has none built in, and arms the first that works.
    public func armWatchdog() throws {
        guard context.keeper == nil else { return }
        // Drivers that cannot be loaded are reported by the step that is for them.
        guard let loader = try? moduleLoader() else { return }
        // A chipset's bus brings the device that the watchdog's own driver is for.
        for _ in 0..<3 { loadWatchdogs(loader) }
        do {
            let keeper = try WatchdogKeeper()
            context.keeper = keeper
            context.log.log("watchdog armed: \(keeper.identity)")
        } catch {
            context.log.log("ignoring that no watchdog can be armed: \(error)")
        }
    }

    /// Loads drivers until no new device appears, then mounts the firmware's variables.
    public func loadDrivers() throws {
        let loader = try moduleLoader()
        var loaded: [String] = []
        var failures: [String] = []
        func loadAll() {
            guard let part = try? loader.loadForDevices() else { return }
            loaded += part.loaded
            failures += part.failures
        }
        for name in try moduleNames() {
            failures += try loader.load(name).failures
        }
        // A bus driver brings new devices, which bring drivers: again until a quiet moment brought nothing more.
        let events = try UeventSocket()
        for _ in 0..<Self.driverRounds {
            let before = loaded.count
            loadAll()
            try events.settle(quietMilliseconds: 250, limitMilliseconds: 5000) { () throws(SystemError) in }
            if loaded.count == before { break }
        }
        for failure in failures { context.log.log("ignoring: \(failure)") }
        context.log.log("drivers: \(loaded.isEmpty ? "none" : loaded.joined(separator: " "))")
        if try !Mounts.mountFirmwareVariables() {
            context.log.log("the firmware's variables cannot be read: not started by UEFI")
        }
        context.bootPartition = NodeFirmware().snapshot().stubPartition
        try waitForBootPartition()
        // What was plugged into a bus that was slow to come up may bring a better chance of a watchdog.
        if context.keeper == nil { try armWatchdog() }
    }

    /// Reads the kernel's command line.
    public func bootArguments() throws -> BootArguments {
        try BootArguments(commandLine: try Machine.commandLine())
    }

    /// SHA-256 of the public key of the CA that is trusted here; nil where none is.
    public func site() -> Digest256? {
        guard let pem = try? context.caCertificate(), let certificate = try? Certificate(pem: pem) else { return nil }
        return Digest256(bytes: certificate.spkiDigest)
    }

    /// Takes the inventory.
    public func inventory() throws -> Inventory {
        var inventory = InventoryReader().inventory(bootPartition: context.bootPartition?.text)
        // A recovery that was started from the installed disk may install there again; a boot medium is never taken.
        for index in inventory.disks.indices where inventory.disks[index].name == use.disk?.name {
            inventory.disks[index].isBootMedium = false
        }
        return inventory
    }

    // MARK: - Parts

    /// A USB stick, or a disk behind a slow controller, appears late; what it holds decides this boot.
    private func waitForBootPartition() throws {
        guard let uuid = context.bootPartition?.text else { return }
        let deadline = context.clock.uptimeMilliseconds + BootMedium.appearanceMilliseconds
        while BlockNodes().partitions(withUUID: uuid).isEmpty {
            guard context.clock.uptimeMilliseconds < deadline else {
                context.log.log("the partition that this program was loaded from did not appear; going on without it")
                return
            }
            context.clock.wait(milliseconds: 200)
            _ = try moduleLoader().loadForDevices()
        }
    }

    private func moduleLoader() throws -> ModuleLoader {
        if let loader { return loader }
        let made = try ModuleLoader()
        loader = made
        return made
    }

    private func moduleNames() throws -> [String] {
        guard Files.exists(Self.moduleListPath) else { return [] }
        return try Files.readText(Self.moduleListPath).split(separator: "\n").map(String.init)
    }

    private func loadWatchdogs(_ loader: ModuleLoader) {
        for bus in ["pci", "platform", "acpi"] {
            for device in (try? Files.list("/sys/bus/\(bus)/devices")) ?? [] {
                guard let alias = try? Files.readText("/sys/bus/\(bus)/devices/\(device)/modalias"), !alias.isEmpty,
                    let names = try? loader.names(for: alias), !Self.watchdogModules.isDisjoint(with: names)
                else { continue }
                for name in names where Self.watchdogModules.contains(name) {
                    guard let report = try? loader.load(name) else { continue }
                    for failure in report.failures { context.log.log("ignoring: \(failure)") }
                }
            }
        }
    }
}
