import Contract
import Foundation
import Linux
import Synchronization
import TestSupport
import Testing
import Workloads

@testable import Images
@testable import Sandbox

@Suite(
    .enabled(if: machineObstacle == nil, "no machine can be run here: \(machineObstacle ?? "")"), .serialized,
    .ownThreads)
struct MakingMachines {
    private func noProject(_ directory: String) -> UInt32 { 7 }

    @Test func aMachineRunsAsItsOwnUserShowsItsConsoleAndEndsByItsButton() throws {
        let test = try BenchTest()
        let workload = try BenchTest.machine(#", "cmdline": "good=morning", "disk_size": "64m""#)
        let order = try test.order(workload, disk: [UInt8](repeating: 7, count: 1 << 20))
        let plan = try test.bench.make(order, project: noProject)
        #expect(plan.diskBytes == 64 << 20)
        let machine = try RunningMachine(
            plan, bundle: test.places.bundle(order.key), log: test.scratch.path + "/journal")
        let greeting = try machine.journal(until: "good=morning")
        try #require(greeting.contains("the machine is up: good=morning"), "\(greeting)")

        // No right is left, and its system calls are filtered.
        let user = IDRangePlanner.firstRange + MachinePlan.innerUser
        let status = machine.status
        #expect(status.contains("Uid:\t\(user)\t\(user)\t\(user)\t\(user)"), "\(status)")
        #expect(status.contains("Groups:\t \n") || status.contains("Groups:\t\n"), "\(status)")
        for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            #expect(status.contains(line), "\(line)")
        }

        // The console, there and back, for one at a time.
        let paths = test.bench.paths(order.key)
        let input = try PipePair()
        let output = try PipePair()
        try input.write(Array("echo?".utf8))
        let lock = paths.consoleLock
        let (from, to) = (input.reading, output.writing)
        try WorkerThread {
            try? MachineConsoleProgram.carry(console: paths.console, lock: lock, from: from, to: to)
            close(to)
        }.detach()
        #expect(output.read(until: "echo?").contains("echo?"))
        #expect(throws: SandboxError.self) {
            try MachineConsoleProgram.carry(console: paths.console, lock: lock, from: from, to: to)
        }
        #expect(try machine.journal(until: "echo?").contains("echo?"))

        #expect(MachineStopProgram.ended(monitor: paths.monitor, withinMilliseconds: 60_000))
        #expect(try Processes.wait(for: machine.process) == .exited(0))
        #expect(try machine.journal(until: "button").contains("the button was pressed"))
        #expect(output.read(until: "button").contains("button"))
        try test.bench.remove(order.key)
        #expect(!Files.exists(test.places.bundle(order.key)) && test.scratch.mounts.isEmpty)
        #expect(Files.exists("\(test.places.machines)/box"), "the disk stays")
    }

    @Test func aMachineThatDoesNotEndInTimeIsSaidNotToHave() throws {
        let test = try BenchTest()
        // Nothing to start from: its firmware waits, and hears no button.
        let workload = try Fixture.workload("box", #", "kind": "vm", "mem_limit": "192m", "vm": {}"#)
        let host = MachineHost.look()
        guard host.hasUEFI else { return }
        let order = try test.order(workload, disk: [UInt8](repeating: 0, count: 1 << 20), host: test.host)
        let plan = try test.bench.make(order, project: noProject)
        #expect(plan.hasVariables && plan.qemu.contains { $0.hasPrefix("q35") })
        let machine = try RunningMachine(
            plan, bundle: test.places.bundle(order.key), log: test.scratch.path + "/journal")
        #expect(try machine.journal(until: "BdsDxe").contains("BdsDxe"), "the firmware speaks to the console")
        let monitor = test.bench.paths(order.key).monitor
        #expect(!MachineStopProgram.ended(monitor: monitor, withinMilliseconds: 500))
        try Processes.signal(machine.process, SIGTERM)
        #expect(try Processes.wait(for: machine.process) == .exited(0))
        #expect(!MachineStopProgram.ended(monitor: monitor, withinMilliseconds: 500), "nobody is there")
        try test.bench.remove(order.key)
    }

    @Test func aDiskStaysWhileItsImageDoesAndGrowsAndNeverShrinks() throws {
        let test = try BenchTest()
        let disk = [UInt8](repeating: 7, count: 1 << 20)
        func make(_ size: String) throws -> String {
            let order = try test.order(try BenchTest.machine(#", "disk_size": "\#(size)""#), disk: disk)
            _ = try test.bench.make(order, project: noProject)
            let paths = test.bench.paths(order.key)
            let found = Tool.run(["qemu-img", "info", "-U", paths.disk]).output
            #expect(Files.status(paths.disk)?.owner == IDRangePlanner.firstRange + MachinePlan.innerUser)
            #expect(Files.status(paths.disks)?.owner == 0, "the machine makes nothing beside its disk")
            Tool.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 0 4k", paths.disk])
            try test.bench.remove(order.key)
            return found
        }
        #expect(try make("64m").contains("64 MiB (67108864 bytes)"))
        #expect(try make("128m").contains("128 MiB (134217728 bytes)"))
        let error = #expect(throws: SandboxError.self) { try make("64m") }
        #expect(error?.isPermanent == true && error?.description.contains("128 MiB") == true)
        let quota: UInt64? = test.limits.all.withLock { $0.first?.1 }
        #expect(quota == UInt64(64 << 20) + UInt64(64 << 10) + UInt64(16 << 20))
        #expect(test.scratch.mounts.isEmpty)

        let name = try #require(WorkloadName("box"))
        let image = try #require(Digest256(hex: Fixture.imageDigest))
        try test.bench.removeDisks(of: name, keeping: [image])
        #expect(Files.exists("\(test.places.machines)/box"))
        try test.bench.removeDisks(of: name, keeping: [])
        #expect(!Files.exists("\(test.places.machines)/box"))
    }

    /// A link in an image, a head that names the node's files, a disk that nobody may read.
    @Test func hostileImagesAreRefusedBeforeQemuSeesThem() throws {
        let scratch = try MountScratch()
        let user = IDRangePlanner.firstRange + MachinePlan.innerUser
        func refusal(_ make: (String) throws -> Void) throws -> String? {
            let root = scratch.path + "/image-\(UUID().uuidString)"
            try Files.makeDirectory(root + "/disk")
            try Files.makeDirectory(root + "/boot")
            try make(root)
            do { _ = try MachineParts.find(in: root, user: user) } catch {
                #expect((error as? SandboxError)?.isPermanent == true, "\(error)")
                return "\(error)"
            }
            return nil
        }
        func write(_ bytes: [UInt8], _ path: String, mode: UInt32 = 0o644) throws {
            try Files.writeDurably(bytes, to: path, mode: mode)
            try Files.setMode(path, to: mode)
        }
        let sector = [UInt8](repeating: 1, count: 512)
        #expect(try refusal { try write(sector, $0 + "/disk/disk.img") } == nil)
        #expect(try refusal { try Files.link($0 + "/disk/disk.img", to: "/etc/passwd") }?.contains("ordinary") == true)
        #expect(try refusal { try Files.link($0 + "/boot/vmlinuz", to: "/etc/passwd") }?.contains("ordinary") == true)
        #expect(try refusal { try Files.makeDirectory($0 + "/disk/disk.img") }?.contains("ordinary") == true)
        #expect(try refusal { try write(sector, $0 + "/disk/a,readonly=off") }?.contains("plain") == true)
        #expect(try refusal { try write(sector + [0], $0 + "/disk/disk.img") }?.contains("sectors") == true)
        #expect(try refusal { try write(sector, $0 + "/disk/disk.img", mode: 0o600) }?.contains("may read") == true)
        let two = try refusal { root in for name in ["a", "b"] { try write(sector, "\(root)/disk/\(name)") } }
        #expect(two?.contains("2 files") == true)
        let path = scratch.path + "/made"
        Tool.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", path, "1M"])
        let hostile = try Files.read(path)
        #expect(try refusal { try write(hostile, $0 + "/disk/disk.img") }?.contains("backing file") == true)
        // By its name it is raw, and its bytes are nobody's but the machine's.
        let raw = hostile + [UInt8](repeating: 0, count: (512 - hostile.count % 512) % 512)
        #expect(try refusal { try write(raw, $0 + "/disk/disk.raw") } == nil)
        // The directory itself leads elsewhere: there is no disk then.
        let linked = scratch.path + "/linked"
        try Files.makeDirectory(linked)
        try Files.link(linked + "/disk", to: "/etc")
        #expect(try MachineParts.find(in: linked, user: user) == MachineParts())
    }

    @Test func aNodeWithoutQemuSaysWhatItsReleaseLacks() throws {
        let scratch = try MountScratch()
        let host = MachineHost.look(root: scratch.path)
        #expect(!host.hasQEMU && host.accelerator == .tcg)
        let test = try BenchTest()
        let order = try test.order(try BenchTest.machine(), host: host)
        let error = #expect(throws: SandboxRefusal.self) { try test.bench.make(order, project: noProject) }
        #expect(error?.description.contains("PACKAGES=\"qemu-system-x86 ovmf\"") == true)
    }
}
