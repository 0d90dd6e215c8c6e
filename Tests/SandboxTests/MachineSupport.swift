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

/// Why no machine can be run here; nil where it can.
let machineObstacle: String? = {
    for tool in ["qemu-system-x86_64", "mkfs.erofs", "setpriv", "mkfifo", "unshare", "nsenter", "ip", "nft"]
    where !Tool.has(tool) { return "\(tool) is not installed" }
    guard Processes.ownUser == 0 else { return "the tests do not run as root" }
    return Tool.run(["sh", "-c", "grep -q erofs /proc/filesystems && losetup -f && test -e /dev/net/tun"]).status == 0
        ? nil : "the kernel has no erofs, no loop devices or no tap interfaces"
}()

/// Puts a machine's image into the store, as the program that fetches images would: a kernel, and perhaps a disk.
struct MachineFetcher: ImageFetcher {
    var disk: [UInt8]?
    /// Taken instead.
    var folder: String?

    func fetch(_ request: ImagePullRequest) throws {
        guard let digest = try ImageReference(parsing: request.reference).digest else {
            throw SandboxError("no digest")
        }
        let folder = "\(request.directory)/node/images/\(digest)-strip-0"
        try Files.makeDirectory(folder + "/tree/boot")
        if let given = self.folder {
            Tool.run(["cp", "-r", given + "/boot", folder + "/tree/"])
        } else {
            try Files.writeDurably(tinyMachine, to: folder + "/tree/boot/vmlinuz", mode: 0o644)
        }
        if let disk {
            try Files.makeDirectory(folder + "/tree/disk")
            try Files.writeDurably(disk, to: folder + "/tree/disk/disk.img", mode: 0o644)
        }
        let script =
            "set -e; chmod -R a+rX tree; mkfs.erofs root.erofs tree >/dev/null; echo tree >root.verity; rm -r tree"
        let made = try Processes.run("/bin/sh", ["-c", script], directory: folder, timeoutSeconds: 60)
        guard made.succeeded, let bytes = Files.status(folder + "/root.erofs")?.sizeBytes else {
            throw SandboxError("mkfs.erofs \(made.summary)")
        }
        let config = Array("{}".utf8)
        guard let name = Digest256(bytes: SHA256.digest(config)) else { throw SandboxError("no digest") }
        let image = StoredImage(
            format: wireFormat, reference: request.reference, digest: digest, config: name, layers: [],
            setID: .strip, strippedFiles: 0, idOffset: 0, blocks: bytes / 4096, rootHash: name, salt: "",
            sizeBytes: bytes)
        try Files.writeDurably(config, to: folder + "/config.json")
        try Files.writeDurably(try Wire.encode(image), to: folder + "/image.json")
    }
}

/// A machine's bench on its own, with a file system that has no quotas.
struct BenchTest {
    let scratch: MountScratch
    let places: NodePlaces
    let limits = Limits()
    var bench: MachineBench
    let host = MachineHost(accelerator: .tcg)

    final class Limits: Sendable { let all = Mutex<[(String, UInt64)]>([]) }

    init() throws {
        scratch = try MountScratch()
        places = NodePlaces(
            state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path + "/run")
        bench = MachineBench(places: places, mounter: PlainImages())
        let limits = limits
        bench.limit = { directory, _, bytes in limits.all.withLock { $0.append((directory, bytes)) } }
    }

    func order(_ workload: Workload, disk: [UInt8]? = nil, host: MachineHost? = nil) throws -> MachineBench.Order {
        let reference = "\(workload.revision.image)"
        try MachineFetcher(disk: disk).fetch(
            ImagePullRequest(directory: places.images, reference: reference, account: nil))
        let entry = try #require(ImageShelf(path: places.imageStore).entries().values.first)
        return MachineBench.Order(
            workload: workload, revision: try Fixture.revision(workload), policy: NodePolicy(),
            ids: try #require(IDRange(first: IDRangePlanner.firstRange)), wire: nil, image: entry,
            host: host ?? self.host, agent: "/usr/lib/apus/apus-agent")
    }

    static func machine(_ vm: String = "", _ more: String = "") throws -> Workload {
        try Fixture.workload(
            "box", #", "kind": "vm", "mem_limit": "64m", "vm": {"firmware": "kernel"\#(vm)}\#(more)"#)
    }
}

/// QEMU as its unit runs it, without systemd.
final class RunningMachine {
    let process: Int32
    private let log: String

    /// Of the system's files it sees what the unit lets it see: `TemporaryFileSystem` and `BindPaths`.
    private static let alone = [
        "unshare", "--mount", "--net", "--propagation", "private", "sh", "-ec",
        """
        bundle=$0
        exec 9<"$bundle"
        for name in etc run tmp var; do mount -t tmpfs none /$name; done
        mkdir -p "$bundle"
        mount -c --rbind /proc/self/fd/9 "$bundle"
        exec 9<&-
        exec "$@"
        """,
    ]

    init(_ plan: MachinePlan, bundle: String, log: String) throws {
        self.log = log
        let file = try OwnedDescriptor(opening: log, [.write, .create, .truncate])
        process = try Processes.spawn(
            "/usr/bin/env", Self.alone + [bundle] + plan.unit.command, output: file.rawValue, error: file.rawValue)
    }

    /// What went to the journal, once it holds a text.
    func journal(until text: String) throws -> String {
        let deadline = Clock.monotonicMilliseconds() + 120_000
        while Clock.monotonicMilliseconds() < deadline {
            let said = try Files.readText(log, limitBytes: 1 << 20)
            if said.contains(text) || hasEnded { return said }
            Clock.pause(milliseconds: 50)
        }
        return try Files.readText(log, limitBytes: 1 << 20)
    }

    /// Whether it is over: nothing more is to be awaited.
    private var hasEnded: Bool { status.isEmpty || status.contains("State:\tZ") }

    var status: String { (try? Files.readText("/proc/\(process)/status")) ?? "" }

    deinit {
        try? Processes.signal(process, SIGKILL)
        _ = try? Processes.wait(for: process)
    }
}

/// A pipe of a test.
final class PipePair {
    let reading: Int32
    let writing: Int32

    init() throws {
        let pipe = Pipe()
        reading = dup(pipe.fileHandleForReading.fileDescriptor)
        writing = dup(pipe.fileHandleForWriting.fileDescriptor)
    }

    func write(_ bytes: [UInt8]) throws { _ = Glibc.write(writing, bytes, bytes.count) }

    func read(until text: String) -> String {
        var all = ""
        let deadline = Clock.monotonicMilliseconds() + 60_000
        while !all.contains(text), Clock.monotonicMilliseconds() < deadline {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let got = Glibc.read(reading, &bytes, bytes.count)
            if got == 0 { break }
            if got > 0 { all += String(decoding: bytes.prefix(got), as: UTF8.self) }
        }
        return all
    }

    deinit { close(reading) }
}

/// A folder with `boot/vmlinuz` and `boot/initrd`: a Linux that takes its address from `ip=` and serves HTTP on 8080.
let linuxImage = ProcessInfo.processInfo.environment["APUS_MACHINE_IMAGE"]
