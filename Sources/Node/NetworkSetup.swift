public import Contract
internal import Linux

/// Brings interfaces up in the initramfs, with busybox's `ip` and `udhcpc`.
///
/// `udhcpc` stays and renews the lease for as long as the machine waits for approval; this program is its script (see
/// `LeaseScript`).
public final class NetworkSetup {
    /// A network that is up.
    public struct Active: Sendable, Equatable {
        /// The settings that the installed system starts with: those given, with the interfaces that were used.
        public var settings: NetworkSettings
        /// The interface that carries the addresses.
        public var interface: String
        /// The lease, where DHCP gave one.
        public var lease: Lease?
    }

    /// Where the programs are.
    public struct Programs: Sendable {
        /// busybox's `ip`.
        public var ip = "/usr/sbin/ip"
        /// busybox's `udhcpc`.
        public var udhcpc = "/usr/sbin/udhcpc"
        /// This program, as `udhcpc` runs it.
        public var script = "/init"

        /// The places in the boot artifact.
        public init() {}
    }

    /// Where leases and `resolv.conf` are written.
    public static let stateDirectory = "/run/apus/network"
    /// How long one DHCP attempt waits for a lease, in seconds: `udhcpc` asks four times in that time.
    static let leaseSeconds: Int64 = 16
    static let carrierSeconds: Int64 = 12

    private let programs: Programs
    private let clock: NodeClock
    private var client: Int32?
    private var created: [String] = []
    private var used: [String] = []

    /// Makes a set-up that waits with `clock`.
    public init(clock: NodeClock, programs: Programs = Programs()) {
        self.clock = clock
        self.programs = programs
    }

    /// Sets all physical interfaces up and waits until one has a carrier, but not for long.
    /// - Returns: the interfaces, with what is known of their carriers.
    public func wakeInterfaces() -> [Inventory.NetworkInterface] {
        for interface in InventoryReader().networkInterfaces() {
            // An interface that cannot be set up has no carrier either, which is what is looked at: ignoring.
            try? ip(["link", "set", "dev", interface.name, "up"])
        }
        let deadline = clock.uptimeMilliseconds + Self.carrierSeconds * 1000
        while clock.uptimeMilliseconds < deadline {
            let interfaces = InventoryReader().networkInterfaces()
            if interfaces.contains(where: \.hasLink) {
                // The others of a machine with several cables get a moment to follow.
                if interfaces.allSatisfy(\.hasLink) || interfaces.count == 1 { return interfaces }
                clock.wait(milliseconds: 1500)
                return InventoryReader().networkInterfaces()
            }
            clock.wait(milliseconds: 200)
        }
        return InventoryReader().networkInterfaces()
    }

    /// Tries settings on interfaces; what an earlier attempt left is taken down first.
    /// - Throws: `NodeError` that names the interface and what is missing there.
    public func bringUp(_ settings: NetworkSettings, on members: [Inventory.NetworkInterface]) throws -> Active {
        takeDown()
        try Files.makeDirectory(Self.stateDirectory, mode: 0o700)
        used = members.map(\.name)
        guard var interface = used.first else { throw NodeError("no interface to use") }
        if let mode = settings.bondMode { interface = try makeBond(mode, of: members) }
        try waitForCarrier(of: interface)
        if let vlan = settings.vlan { interface = try makeVLAN(vlan, on: interface) }
        var lease: Lease?
        if settings.dhcp { lease = try obtainLease(on: interface) }
        for address in settings.addresses { try add(address, to: interface) }
        if let gateway = settings.gateway { try route(via: gateway, on: interface) }
        let servers = settings.nameServers.isEmpty ? lease?.nameServers ?? [] : settings.nameServers
        try ResolverFile.write(nameServers: servers)
        var active = Active(settings: settings, interface: interface, lease: lease)
        active.settings.interfaces = members.map(\.address)
        return active
    }

    /// Stops the DHCP client and takes away what `bringUp` made.
    public func takeDown() {
        if let client {
            // It may have ended by itself: ignoring.
            try? Processes.signal(client, 15)
            _ = try? Processes.wait(for: client)
        }
        client = nil
        for name in created.reversed() { try? ip(["link", "del", "dev", name]) }
        for name in used { try? ip(["addr", "flush", "dev", name]) }
        created = []
        used = []
    }

    // MARK: - Parts

    private func makeBond(_ mode: String, of members: [Inventory.NetworkInterface]) throws -> String {
        let name = "bond0"
        let folder = "/sys/class/net/\(name)/bonding"
        // The module may have made one of its own when it was loaded.
        if !Files.exists(folder) { try Files.overwrite("/sys/class/net/bonding_masters", with: "+\(name)") }
        created.append(name)
        // Mode and members can only be changed while it, or the member, is down.
        try ip(["link", "set", "dev", name, "down"])
        try Files.overwrite(folder + "/mode", with: mode)
        try Files.overwrite(folder + "/miimon", with: "100")
        for member in members {
            try ip(["link", "set", "dev", member.name, "down"])
            try Files.overwrite(folder + "/slaves", with: "+\(member.name)")
        }
        try ip(["link", "set", "dev", name, "up"])
        return name
    }

    private func makeVLAN(_ id: Int, on carrier: String) throws -> String {
        let name = "vlan\(id)"
        try ip(["link", "add", "link", carrier, "name", name, "type", "vlan", "id", "\(id)"])
        created.append(name)
        try ip(["link", "set", "dev", name, "up"])
        return name
    }

    private func waitForCarrier(of interface: String) throws {
        let deadline = clock.uptimeMilliseconds + Self.carrierSeconds * 1000
        let path = "/sys/class/net/\(interface)/carrier"
        while (try? Files.readText(path)) != "1" {
            guard clock.uptimeMilliseconds < deadline else {
                throw NodeError("\(interface) has no link: plug in its cable, or check the switch's port")
            }
            clock.wait(milliseconds: 200)
        }
    }

    private func obtainLease(on interface: String) throws -> Lease {
        let path = LeaseScript.path(of: interface)
        try Files.remove(path)
        // Stays in the foreground, asks again for ever, and asks for the option that carries the endpoint.
        let arguments = [
            "-f", "-i", interface, "-s", programs.script, "-t", "4", "-T", "3", "-A", "5", "-O",
            "\(Lease.endpointOption)",
        ]
        let client = try Processes.spawn(
            programs.udhcpc, arguments, environment: Processes.defaultEnvironment + [LeaseScript.marker])
        self.client = client
        let deadline = clock.uptimeMilliseconds + Self.leaseSeconds * 1000
        while clock.uptimeMilliseconds < deadline {
            if let text = try? Files.readText(path), let lease = Lease(encoded: text) { return lease }
            if hasEnded(client) {
                self.client = nil
                throw NodeError("the DHCP client on \(interface) ended by itself")
            }
            clock.wait(milliseconds: 100)
        }
        throw NodeError(
            "no DHCP lease on \(interface) within \(Self.leaseSeconds) s: check the DHCP server and the port's VLAN, or "
                + "give apus.network=address=…")
    }

    private func hasEnded(_ process: Int32) -> Bool {
        // An error says that PID 1 took its end in already, with those of all other children.
        do { return try Processes.wait(for: process, block: false) != nil } catch { return true }
    }

    private func add(_ address: String, to interface: String) throws {
        try ip(["addr", "add", address, "dev", interface])
    }

    private func route(via gateway: String, on interface: String) throws {
        let family = IPAddress.version(gateway) == 6 ? ["-6"] : []
        try ip(family + ["route", "replace", "default", "via", gateway, "dev", interface])
    }

    private func ip(_ arguments: [String]) throws {
        try NetworkSetup.run(programs.ip, arguments)
    }

    static func run(_ program: String, _ arguments: [String]) throws {
        let outcome = try Processes.run(program, arguments, outputLimitBytes: 4096, timeoutSeconds: 20)
        guard outcome.ending == .exited(0) else {
            throw NodeError("'ip \(arguments.joined(separator: " "))' \(outcome.summary)")
        }
    }
}

/// `/etc/resolv.conf` of the initramfs (resolv.conf(5)).
enum ResolverFile {
    static func write(nameServers: [String], path: String = "/etc/resolv.conf") throws {
        let lines = nameServers.prefix(3).map { "nameserver \($0)\n" }
        try Files.writeDurably(Array((lines.joined() + "options timeout:3 attempts:2\n").utf8), to: path, mode: 0o644)
    }
}

/// What this program does when `udhcpc` runs it as its script: applies the lease and writes it down.
public enum LeaseScript {
    /// In the environment of `udhcpc`, and so of its script: tells the program that it is run as that.
    public static let marker = "APUS_LEASE_SCRIPT=1"

    /// Whether `udhcpc` runs this program.
    public static func isCaller(_ environment: [String: String]) -> Bool { environment["APUS_LEASE_SCRIPT"] == "1" }

    static func path(of interface: String) -> String { "\(NetworkSetup.stateDirectory)/\(interface).lease" }

    /// Handles one event: `deconfig`, `bound`, `renew`, `leasefail` or `nak`.
    /// - Returns: the exit status.
    public static func run(event: String, environment: [String: String], ip: String = "/usr/sbin/ip") -> Int32 {
        do {
            switch event {
            case "bound", "renew":
                guard let lease = Lease(environment: environment) else { return 1 }
                try apply(lease, ip: ip)
                // Written last: whoever sees it may use the network.
                try Files.makeDirectory(NetworkSetup.stateDirectory, mode: 0o700)
                try Files.writeDurably(Array(lease.encoded.utf8), to: path(of: lease.interface))
            case "deconfig":
                guard let interface = environment["interface"], Lease.isInterfaceName(interface) else { return 1 }
                try Files.remove(path(of: interface))
                try NetworkSetup.run(ip, ["addr", "flush", "dev", interface])
                try NetworkSetup.run(ip, ["link", "set", "dev", interface, "up"])
            default: break
            }
            return 0
        } catch {
            return 1
        }
    }

    private static func apply(_ lease: Lease, ip: String) throws {
        let current = try Processes.run(ip, ["-o", "-4", "addr", "show", "dev", lease.interface], timeoutSeconds: 20)
        if !String(decoding: current.output, as: UTF8.self).contains(" \(lease.address) ") {
            try NetworkSetup.run(ip, ["addr", "flush", "dev", lease.interface])
            try NetworkSetup.run(ip, ["addr", "add", lease.address, "dev", lease.interface])
        }
        if let router = lease.routers.first {
            // A gateway outside the subnet, as some providers have it, needs a route of its own first.
            try? NetworkSetup.run(ip, ["route", "replace", router, "dev", lease.interface])
            try NetworkSetup.run(ip, ["route", "replace", "default", "via", router, "dev", lease.interface])
        }
    }
}
