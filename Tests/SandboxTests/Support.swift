import Contract
import Cryptography
import Foundation
import Linux
import Synchronization
import TestSupport
import Testing
import Workloads

@testable import Images
@testable import Sandbox

/// A directory that is gone at the end, with what is mounted below it.
final class MountScratch {
    let folder: Scratch
    var path: String { folder.path }

    init() throws { folder = try Scratch(permissions: 0o755) }

    /// What is mounted below it.
    var mounts: [String] {
        let table = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
        return table.split(separator: "\n").compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
            .filter { $0.hasPrefix(path + "/") }
    }

    deinit {
        for mount in mounts.reversed() { try? Mounts.unmount(mount, lazily: true) }
    }
}

enum Tool {
    /// Runs a program to its end; both outputs as one text.
    @discardableResult
    static func run(_ words: [String], seconds: Int = 60) -> (status: Int32, output: String) {
        guard let outcome = try? Processes.run("/usr/bin/env", words, timeoutSeconds: seconds) else { return (-1, "") }
        var status: Int32 = -1
        if case .exited(let code) = outcome.ending { status = code }
        return (status, String(decoding: outcome.output + outcome.errorOutput, as: UTF8.self))
    }

    static func has(_ name: String) -> Bool { run(["sh", "-c", "command -v \(name)"]).status == 0 }

    /// Why no container can be run here; nil where it can.
    static let obstacle: String? = {
        for tool in ["crun", "busybox", "unshare", "nsenter", "ip", "nft", "mkfs.erofs", "mount"] where !has(tool) {
            return "\(tool) is not installed"
        }
        guard Processes.ownUser == 0 else { return "the tests do not run as root" }
        guard run(["sh", "-c", "! ldd $(command -v busybox) >/dev/null 2>&1"]).status == 0 else {
            return "busybox is not linked statically"
        }
        guard run(["unshare", "--user", "--pid", "--net", "--fork", "true"]).status == 0 else {
            return "namespaces cannot be made"
        }
        return run(["sh", "-c", "grep -q erofs /proc/filesystems && grep -q overlay /proc/filesystems && losetup -f"])
            .status == 0 ? nil : "the kernel has no erofs, no overlayfs or no loop devices"
    }()
}

/// Documents.
enum Fixture {
    static let imageDigest = String(repeating: "ab", count: 32)

    static func workload(_ name: String, _ more: String = "") throws -> Workload {
        let image = "registry.example/app@sha256:\(imageDigest)"
        // Where tests run, more files than this may not be given away.
        let files = #""ulimits": {"nofile": {"soft": 256, "hard": 512}}"#
        return try Workload(parsing: Array(#"{"name": "\#(name)", "image": "\#(image)", \#(files)\#(more)}"#.utf8))
    }

    static func revision(_ workload: Workload) throws -> Digest256 {
        try #require(Digest256(bytes: SHA256.digest(workload.revision.canonical)))
    }

    static func assigned(
        _ workload: Workload, isStopped: Bool = false, secrets: [String: String] = [:]
    ) throws -> AssignedWorkload {
        AssignedWorkload(
            workload: String(decoding: workload.document.json, as: UTF8.self), revision: try revision(workload),
            isStopped: isStopped, restarts: 0, secrets: secrets.compactMapValues { SecretValue(bytes: Array($0.utf8)) })
    }
}

/// Puts an image with a busybox into the store, as the program that fetches images would.
struct BusyboxFetcher: ImageFetcher {
    var refusal: String?

    func fetch(_ request: ImagePullRequest) throws {
        if let refusal { throw SandboxError(refusal) }
        let digest = try ImageReference(parsing: request.reference).digest
        guard let digest else { throw SandboxError("no digest") }
        let folder = "\(request.directory)/node/images/\(digest)-strip-0"
        try Files.makeDirectory(folder)
        let script = """
            set -e
            mkdir -p tree/bin tree/proc tree/sys tree/dev tree/etc tree/tmp tree/www
            cp $(command -v busybox) tree/bin/busybox
            echo 'app:x:1000:1000::/:/bin/sh' >tree/etc/passwd
            echo hello >tree/www/index.html
            mkfs.erofs root.erofs tree >/dev/null
            echo tree >root.verity
            rm -r tree
            """
        let made = try Processes.run("/bin/sh", ["-c", script], directory: folder, timeoutSeconds: 60)
        guard made.succeeded, let bytes = Files.status(folder + "/root.erofs")?.sizeBytes else {
            throw SandboxError("mkfs.erofs \(made.summary)")
        }
        let config =
            Array(
                #"{"os": "linux", "architecture": "amd64", "config": {"Env": ["A=image"], "User": "app"}, "#.utf8
            ) + Array(#""rootfs": {"type": "layers", "diff_ids": []}}"#.utf8)
        guard let name = Digest256(bytes: SHA256.digest(config)) else { throw SandboxError("no digest") }
        let image = StoredImage(
            format: wireFormat, reference: request.reference, digest: digest, config: name, layers: [],
            setID: .strip, strippedFiles: 0, idOffset: 0, blocks: bytes / 4096, rootHash: name, salt: "",
            sizeBytes: bytes)
        try Files.writeDurably(config, to: folder + "/config.json")
        try Files.writeDurably(try Wire.encode(image), to: folder + "/image.json")
    }
}

/// The image without dm-verity, which not every kernel has; all else is as on a node.
struct PlainImages: ImageMounter {
    func mount(_ image: StoredImage, folder: String, on target: String, use: String) throws {
        try unmount(target, use: use)
        try Files.makeDirectory(target)
        let outcome = try Processes.run(
            "/usr/bin/env", ["mount", "-t", "erofs", "-o", "loop,ro", folder + "/root.erofs", target],
            timeoutSeconds: 60)
        guard outcome.succeeded else { throw SandboxError("mount \(outcome.summary)") }
    }

    func unmount(_ target: String, use: String) throws {
        if Mounts.isMounted(target) { try Mounts.unmount(target) }
    }
}

/// Runs units as child processes, in place of systemd, which does not run here; restarts nothing.
final class ProcessUnits: UnitManager {
    private struct Running {
        var status: UnitStatus
        var process: Int32
        var stopCommand: [String] = []
    }

    private let running = Mutex<[String: Running]>([:])
    let starts = Mutex<[String]>([])
    private let runtimeRoot: String
    private let logs: String

    init(runtimeRoot: String, logs: String) {
        self.runtimeRoot = runtimeRoot
        self.logs = logs
    }

    /// A view of the cgroups as a node has it.
    private static let wrapper = [
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        #"mount -t cgroup2 none /sys/fs/cgroup && exec "$@""#, "sh",
    ]

    /// The mode that udev's own rules give this device; where tests run, nobody may have.
    private static let openTap = [
        "sh", "-c",
        #"mount -t tmpfs -o dev none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && exec "$@""#, "sh",
    ]

    func units() throws -> [UnitStatus] {
        try running.withLock { running in
            for (name, unit) in running where unit.process > 0 {
                guard let ending = try Processes.wait(for: unit.process, block: false) else { continue }
                running[name]?.process = 0
                switch ending {
                case .exited(0):
                    // systemd forgets a transient unit that ended well.
                    running[name] = nil
                case .exited(let status):
                    running[name]?.status.activeState = "failed"
                    running[name]?.status.result = "exit-code"
                    running[name]?.status.mainStatus = status
                default:
                    running[name]?.status.activeState = "failed"
                    running[name]?.status.result = "signal"
                }
            }
            return running.values.map(\.status)
        }
    }

    func limitSlice(_ properties: [UnitProperty]) throws {}

    func start(_ unit: SystemdUnit) throws {
        let words = unit.command.map { $0 == SystemdUnit.runtimeRoot ? runtimeRoot : $0 }
        let log = try OwnedDescriptor(
            opening: "\(logs)/\(unit.name)", [.write, .create, .append], mode: 0o600)
        let network = unit.properties.first { $0.name == "NetworkNamespacePath" }
        let process = try Processes.spawn(
            "/usr/bin/env",
            (network.map { ["nsenter", "--net=\($0.value)"] } ?? []) + Self.wrapper
                + (network == nil ? [] : Self.openTap) + words, output: log.rawValue, error: log.rawValue)
        starts.withLock { $0.append(unit.name) }
        let now = UInt64(Clock.monotonicMilliseconds()) * 1000
        running.withLock {
            $0[unit.name] = Running(
                status: UnitStatus(
                    name: unit.name, activeState: "active", subState: "running", activeSinceMicroseconds: now,
                    changedMicroseconds: now, mainProcess: process), process: process,
                stopCommand: unit.stopCommand)
        }
    }

    func stop(_ name: String, graceMilliseconds: Int64) throws {
        guard let words = running.withLock({ $0[name]?.stopCommand }), let grace = words.last.flatMap({ Int64($0) })
        else { return try send(SIGTERM, to: name) }
        // The agent's program for it, in this process.
        let monitor = words[words.count - 2]
        try WorkerThread {
            _ = MachineStopProgram.ended(monitor: monitor, withinMilliseconds: grace)
            try? self.send(SIGTERM, to: name)
        }.detach()
    }
    func kill(_ name: String) throws { try send(SIGKILL, to: name) }
    func setFrozen(_ name: String, _ isFrozen: Bool) throws {
        throw SandboxError("a child process without a control group of its own cannot be frozen")
    }
    func forget(_ name: String) throws {
        running.withLock { if $0[name]?.process == 0 { $0[name] = nil } }
        Tool.run(Self.wrapper + ["crun", "--root", runtimeRoot, "delete", "--force", container(name)])
    }
    func inside(_ unit: UnitStatus, _ words: [String]) -> [String] { Self.wrapper + words }

    func killAll() {
        let names = running.withLock { Array($0.keys) }
        for name in names {
            try? send(SIGKILL, to: name)
            try? forget(name)
        }
    }

    func log(_ name: String) -> String { (try? Files.readText("\(logs)/\(name)")) ?? "" }

    private func container(_ name: String) -> String {
        String(name.dropFirst("apus-workload-".count).dropLast(".service".count))
    }

    private func send(_ signal: Int32, to name: String) throws {
        guard let process = running.withLock({ $0[name]?.process }), process > 0 else { return }
        try Processes.signal(process, signal)
    }
}
