import Contract
import Foundation
import Testing

@testable import Lab

@Suite struct StageTests {
    private func spec() -> MachineSpec {
        MachineSpec(
            name: "test", diskPath: "/d.qcow2", firmwareCodePath: "/code.fd", nvramPath: "/vars.fd",
            consolePath: "/console.log")
    }

    @Test func aMachineNeverGetsABootOrderFromOutside() {
        var spec = spec()
        spec.stickPath = "/stick.img"
        #expect(!spec.arguments.contains { $0.contains("bootindex") || $0.hasPrefix("order=") })
        #expect(spec.arguments.contains { $0.hasPrefix("usb-storage") })
    }

    @Test func sectorsMemoryAndReadOnlyNVRAMReachQEMU() {
        var spec = spec()
        spec.sectorSizeBytes = 4096
        spec.memoryMiB = 256
        spec.isNVRAMReadOnly = true
        let all = spec.arguments.joined(separator: " ")
        #expect(all.contains("logical_block_size=4096"))
        #expect(all.contains("-m 256"))
        #expect(all.contains("readonly=on,file=/vars.fd"))
    }

    @Test func httpClientsAreToldTheAddressAndPXEClientsNothing() {
        let network = Network(kind: .namespace, directory: "/x", bootDirectory: "/x/boot")
        var offer = Network.Offer()
        offer.bootFile = nil
        offer.httpURL = "http://10.0.2.2:8080/boot/apus-boot.efi"
        let words = network.dhcpCommand(offer)
        #expect(words.contains("--dhcp-boot=tag:efi-http,http://10.0.2.2:8080/boot/apus-boot.efi"))
        #expect(!words.contains("--enable-tftp"))
        offer.givesLeases = false
        #expect(!network.dhcpCommand(offer).contains { $0.hasPrefix("--dhcp-range") })
    }

    @Test func theScenariosThatGuardTheMainLineExist() {
        let names = Scenario.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in [
            "provision-pxe", "upgrade-commit", "rollback-unhealthy", "rollback-panic", "rollback-hang",
            "committed-slot-fails", "upgrade-corrupt",
        ] { #expect((Scenario.groups[name] ?? [name]).allSatisfy(names.contains)) }
        #expect(names.first == "provision-pxe")
    }

    @Test func theArchiveForTheSlotIsOneThatCpioReads() throws {
        let archive = try #require(LabRelease.hangsInInit.slotSegment).archive
        #expect(archive.count.isMultiple(of: 512))
        let path = NSTemporaryDirectory() + "/segment-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(archive).write(to: URL(fileURLWithPath: path))
        #expect(Array(archive.prefix(6)) == Array("070701".utf8))
        #expect(String(decoding: archive, as: UTF8.self).contains("TRAILER!!!"))
    }

    @Test func aProgramThatRanIsKnownByItsCodeAndItsOutput() throws {
        let result = try ChildProcess.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
        #expect(result.exitCode == 3)
        #expect(result.output.contains("out") && result.output.contains("err"))
        #expect(throws: LabError.self) { try ChildProcess.check(["false"]) }
        #expect(throws: LabError.self) { try ChildProcess.run(["/does/not/exist"]) }
    }

    @Test func aProgramIsEndedWithItsWholeGroup() throws {
        let child = try ChildProcess(.init(command: ["sh", "-c", "sleep 1000 & sleep 1000"]))
        #expect(child.isRunning)
        child.killNow()
        #expect(!child.isRunning)
        #expect(child.exitCode == 128 + SIGKILL)
    }

    @Test func sectorsOfThePartitionTableAreCounted() throws {
        let json = """
            warning: something
            {"partitiontable": {"sectorsize": 4096, "partitions": [
                {"node": "x1", "start": 256, "size": 131072, "type": "C12A", "uuid": "ABCD", "name": "apus-recovery"}]}}
            """
        let found = try DiskInspection.parse(sfdisk: json, sectorSizeBytes: 4096)
        #expect(found.first?.startBytes == 1 << 20)
        #expect(found.first?.sizeBytes == 512 << 20)
        #expect(found.first?.uuid == "abcd")
    }
}
