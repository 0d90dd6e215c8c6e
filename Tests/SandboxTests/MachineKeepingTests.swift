import Contract
import Foundation
import Linux
import TestSupport
import Testing
import Workloads

@testable import Sandbox

@Suite(
    .enabled(if: machineObstacle == nil, "no machine can be run here: \(machineObstacle ?? "")"), .serialized,
    .ownThreads)
struct KeepingMachines {
    @Test func aMachineIsKeptLikeAContainerAndItsStateSaysThatItIsSlow() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let keeper = try node.start(
            bootID: "one", fetcher: MachineFetcher(), machineHost: MachineHost(accelerator: .tcg))
        let workload = try Fixture.workload(
            "box", #", "kind": "vm", "mem_limit": "64m", "exposed_ports": [22], "vm": {"firmware": "kernel"}"#)
        keeper.assign(WorkloadAssignment(generation: 1, workloads: [try Fixture.assigned(workload)]))
        let report = try node.wait("box") { $0.phase == .running }
        #expect(report.reason.contains("tcg"))
        let bundle = try #require(BundleRecord.all(in: node.places).values.first)
        #expect(bundle.accelerator == .tcg && bundle.wire == 1)

        // Its card is a port of a bridge, beside the wire's end, and nothing in its namespace has an address.
        let wire = try #require(NetworkPlan(index: 1))
        let namespace = node.places.namespace(wire)
        let links = Tool.run(["nsenter", "--net=\(namespace)", "ip", "-o", "link"]).output.split(separator: "\n")
        #expect(links.filter { $0.contains("master bridge") }.count == 2, "\(links)")
        #expect(links.contains { $0.contains("tap0") && $0.contains("LOWER_UP") }, "QEMU has opened it: \(links)")
        #expect(links.contains { $0.contains("eth0") && $0.contains(wire.bridgeMAC) })
        #expect(Tool.run(["nsenter", "--net=\(namespace)", "ip", "-o", "addr"]).output.isEmpty)
        let details = Tool.run(["nsenter", "--net=\(namespace)", "ip", "-d", "link"]).output
        #expect(details.split(separator: "\n").count { $0.contains("learning off") } == 2, "\(details)")
        let neighbours = Tool.run(["nsenter", "--net=\(node.network)", "ip", "neigh"]).output
        #expect(neighbours.contains("\(wire.guestVersion4) dev apw1 lladdr \(wire.guestMAC) PERMANENT"))

        let name = "\(SystemdUnit.name(workload.name, try Fixture.revision(workload)))"
        #expect(node.units.log(name).contains("ip=\(wire.guestVersion4)::\(wire.hostVersion4):"))
        let streams = WorkloadStreams(try #require(node.effects))
        let exec = #expect(throws: SandboxError.self) {
            try streams.start(StreamRequest(id: "s", workload: "box", kind: .exec, command: ["/bin/sh"]))
        }
        #expect(exec?.description.contains("apus workload attach box") == true)
        #expect(streams.takesInput(StreamRequest(id: "s", workload: "box", kind: .attach)))

        keeper.assign(WorkloadAssignment(generation: 2))
        try node.waitForNothing()
        #expect(node.units.log(name).contains("the button was pressed"))
        #expect(scratch.mounts.filter { !$0.hasSuffix("node-net") }.isEmpty, "\(scratch.mounts)")
    }

    @Test func anotherRevisionsMachineHasTheSameAddressAndANodeWithoutQemuSaysSo() throws {
        let scratch = try MountScratch()
        let places = NodePlaces(state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path)
        var effects = KeeperEffects(
            places: places, units: ProcessUnits(runtimeRoot: scratch.path, logs: scratch.path),
            fetcher: MachineFetcher(), mounter: PlainImages(), loadProfile: { nil }, report: { _ in }, tell: { _ in })
        effects.machineHost = { MachineHost(hasQEMU: false, accelerator: .tcg) }
        let core = try KeeperCore(effects, bootID: "one")
        let machine = try Fixture.workload("box", #", "kind": "vm", "exposed_ports": [22]"#)
        let other = try Fixture.workload("web", #", "exposed_ports": [22]"#)
        #expect(try core.freeWire(machine)?.index == 1)
        #expect(try core.freeWire(other)?.index == 2, "the machine's is kept for it")
        #expect(try core.freeWire(machine)?.index == 1)
        let again = try KeeperCore(effects, bootID: "two")
        #expect(try again.freeWire(other)?.index == 2)
        #expect(try again.freeWire(machine)?.index == 1)

        try Files.makeDirectory("\(places.machines)/box/\(Fixture.imageDigest.prefix(12))")
        try core.accept(WorkloadAssignment(generation: 1, workloads: [try Fixture.assigned(machine)]))
        core.tidyDisks()
        #expect(Files.exists("\(places.machines)/box"))
        try core.accept(WorkloadAssignment(generation: 2))
        core.tidyDisks()
        #expect(!Files.exists("\(places.machines)/box"), "its disk goes with the workload")
        #expect(core.memory.machineWires?.isEmpty ?? true)
    }
}

@Suite(
    .enabled(if: machineObstacle == nil && linuxImage != nil, "APUS_MACHINE_IMAGE names no machine's image"),
    .ownThreads)
struct LinuxMachines {
    @Test func aGuestIsHealthyByItsWireAndShutsDownByItsButton() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let keeper = try node.start(
            bootID: "one", fetcher: MachineFetcher(folder: linuxImage),
            machineHost: MachineHost(accelerator: .tcg))
        let check = #""healthcheck": {"http": {"port": 8080, "path": "/"}, "interval": "1s", "start_period": "100s"}"#
        let workload = try Fixture.workload(
            "box",
            #", "kind": "vm", "mem_limit": "256m", "ports": ["18081:8080"], "stop_grace_period": "60s", "#
                + #""vm": {"firmware": "kernel", "user_data": "hello: seed\n"}, \#(check)"#)
        keeper.assign(WorkloadAssignment(generation: 1, workloads: [try Fixture.assigned(workload)]))
        let name = SystemdUnit.name(workload.name, try Fixture.revision(workload))
        defer { print(node.units.log(name)) }
        _ = try node.wait("box") { $0.phase == .running }
        #expect(node.get("100.127.0.3").contains("hello"))
        keeper.assign(WorkloadAssignment(generation: 2))
        try node.waitForNothing()
        #expect(node.units.log(name).contains("button-seen"))
    }
}
