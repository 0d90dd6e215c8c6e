import Contract
import FoundationEssentials
import Glibc

/// The releases that scenarios need: the reference OS, each with something changed.
enum LabRelease: Equatable, Sendable {
    /// What nodes are installed with.
    case first
    /// A good successor.
    case second
    /// An operator's health check fails on it.
    case unhealthy
    /// Its kernel panics early in systemd's start.
    case panics
    /// `apus-init` hangs after it armed the watchdog.
    case hangsInInit
    /// systemd hangs before the agent is started.
    case hangsInSystemd
    /// The agent does nothing, while PID 1 works on.
    case hangsInAgent
    /// Good until the machine's asset tag says `panic`; then its kernel panics.
    case panicsLater
    /// Good, to be damaged at the server; the number tells one damage from the next.
    case damaged(Int)
    /// For another architecture.
    case foreign
    /// It does whatever the lab says: for machines that are thrown away.
    case handedOver
    /// The reference OS with QEMU, as a site makes it that runs virtual machines.
    case withQEMU

    /// Its version.
    var version: String {
        switch self {
        case .first: "1.0.0"
        case .second: "1.1.0"
        case .unhealthy: "1.2.0"
        case .panics: "1.3.0"
        case .hangsInInit: "1.4.0"
        case .hangsInSystemd: "1.4.1"
        case .hangsInAgent: "1.4.2"
        case .panicsLater: "1.5.0"
        case .damaged(let number): "1.6.\(number)"
        case .foreign: "1.7.0"
        case .handedOver: "1.8.0"
        case .withQEMU: "1.9.0"
        }
    }

    /// What is special about it.
    var summary: String {
        switch self {
        case .first: "the reference OS"
        case .second: "a good successor"
        case .unhealthy: "a health check fails"
        case .panics: "the kernel panics"
        case .hangsInInit: "apus-init hangs"
        case .hangsInSystemd: "systemd hangs before the agent"
        case .hangsInAgent: "the agent does nothing"
        case .panicsLater: "the kernel panics once the asset tag says so"
        case .damaged: "good, to be damaged at the server"
        case .foreign: "for another architecture"
        case .handedOver: "a shell for the lab"
        case .withQEMU: "the reference OS with QEMU"
        }
    }

    /// Debian packages that it has beside the reference OS's.
    var packages: String { self == .withQEMU ? "qemu-system-x86" : "" }

    /// The architecture that its manifest names, where it is not this machine's.
    var architecture: Architecture? { self == .foreign ? .arm64 : nil }

    /// Files on top of the reference OS.
    var overlay: Overlay {
        var overlay = Overlay()
        if self != .first { overlay.add("usr/lib/apus/lab-release", version + "\n") }
        switch self {
        case .unhealthy:
            overlay.add("usr/lib/apus/health.d/lab-always-fails", LabUnits.failingCheck, mode: 0o755)
        case .panics: overlay.addEarlyUnit("lab-panic", LabUnits.panic)
        case .panicsLater: overlay.addEarlyUnit("lab-panic-later", LabUnits.panicWhenTagged)
        case .hangsInSystemd: overlay.addEarlyUnit("lab-hang", LabUnits.hang)
        case .hangsInAgent:
            overlay.add("usr/lib/systemd/system/apus-agent.service.d/lab.conf", LabUnits.idleAgent)
        case .handedOver: overlay.addEarlyUnit("lab-hands", LabUnits.hands)
        case .first, .second, .hangsInInit, .damaged, .foreign, .withQEMU: break
        }
        return overlay
    }

    /// An archive that the kernel unpacks over the slot's initramfs.
    ///
    /// A FIFO that nobody writes to stands where `apus-init` reads which modules to load, so that it hangs in open(2)
    /// with the watchdog armed.
    var slotSegment: Cpio? {
        guard self == .hangsInInit else { return nil }
        var archive = Cpio()
        archive.add("etc", mode: S_IFDIR | 0o755)
        archive.add("etc/apus", mode: S_IFDIR | 0o755)
        archive.add("etc/apus/modules", mode: S_IFIFO | 0o600)
        return archive
    }
}

/// Units and scripts of the special releases.
enum LabUnits {
    static let failingCheck = """
        #!/bin/sh
        echo "the lab's check always fails on this release"
        exit 1

        """
    static let panic = early("panics the kernel", "/bin/sh -c 'echo c > /proc/sysrq-trigger'")
    static let panicWhenTagged = early(
        "panics the kernel when the asset tag says so",
        "/bin/sh -c 'if grep -q panic /sys/class/dmi/id/chassis_asset_tag; then echo c > /proc/sysrq-trigger; fi'")
    static let hang = early("never ends", "/bin/sleep infinity")
    static let idleAgent = """
        [Service]
        Type=simple
        WatchdogSec=0
        ExecStart=
        ExecStart=/bin/sleep infinity

        """

    /// Asks the lab, again and again, what to run as root.
    static let hands = """
        [Unit]
        Description=Lab: runs what the lab says
        DefaultDependencies=no
        StartLimitIntervalSec=0

        [Service]
        Type=simple
        Restart=always
        RestartSec=1
        ExecStart=/bin/bash -c 'exec 3<>/dev/tcp/\(Network.serverAddress)/\(LabHands.port); exec /bin/bash <&3 >&3 2>&1'

        """

    private static func early(_ what: String, _ command: String) -> String {
        """
        [Unit]
        Description=Lab: \(what)
        DefaultDependencies=no
        Before=sysinit.target apus-agent.service

        [Service]
        Type=oneshot
        TimeoutStartSec=infinity
        ExecStart=\(command)

        """
    }
}

/// Files to lay over a root file system.
struct Overlay: Equatable, Sendable {
    private struct Item: Equatable, Sendable {
        var path: String
        var content: String
        var mode: mode_t
        var isLink: Bool
    }
    private var items: [Item] = []

    /// Whether there are none.
    var isEmpty: Bool { items.isEmpty }

    /// Adds a file.
    mutating func add(_ path: String, _ content: String, mode: mode_t = 0o644) {
        items.append(Item(path: path, content: content, mode: mode, isLink: false))
    }

    /// Adds a unit that `sysinit.target` requires, so that nothing ordinary starts before it is done.
    mutating func addEarlyUnit(_ name: String, _ content: String) {
        let folder = "usr/lib/systemd/system"
        add("\(folder)/\(name).service", content)
        items.append(
            Item(
                path: "\(folder)/sysinit.target.requires/\(name).service", content: "../\(name).service", mode: 0o777,
                isLink: true))
    }

    /// Writes the files into a folder.
    func write(to directory: String) throws {
        for item in items {
            let path = directory + "/" + item.path
            try Files.makeFolder(
                path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/"))
            if item.isLink {
                guard symlink(item.content, path) == 0 else { throw LabError("cannot link '\(path)': \(lastError())") }
            } else {
                try Files.write(item.content, to: path, mode: item.mode)
            }
        }
    }
}

/// A cpio archive in the "newc" form that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format).
struct Cpio: Equatable, Sendable {
    private var bytes: [UInt8] = []
    private var count = 0

    /// Adds an entry without content, or with it.
    mutating func add(_ path: String, mode: mode_t, content: [UInt8] = []) {
        count += 1
        append(path, inode: count, mode: Int(mode), content: content)
    }

    /// The archive with its trailer, padded to 512 bytes.
    var archive: [UInt8] {
        var whole = self
        whole.append("TRAILER!!!", inode: 0, mode: 0, content: [])
        return whole.bytes + [UInt8](repeating: 0, count: -whole.bytes.count & 511)
    }

    private mutating func append(_ path: String, inode: Int, mode: Int, content: [UInt8]) {
        // Inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
        let fields = [inode, mode, 0, 0, 1, 0, content.count, 0, 0, 0, 0, path.utf8.count + 1, 0]
        let header = fields.map { field in
            let digits = String(field, radix: 16, uppercase: true)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
        bytes += Array(("070701" + header.joined() + path).utf8) + [0]
        bytes += [UInt8](repeating: 0, count: -bytes.count & 3)
        bytes += content
        bytes += [UInt8](repeating: 0, count: -bytes.count & 3)
    }
}
