import Contract
import Testing

@testable import Workloads

/// Machines as values.
enum Machines {
    static func input(
        _ more: String = "", vm: String = #""firmware": "kernel""#, host: MachineHost = MachineHost(accelerator: .kvm),
        parts: MachineParts = MachineParts(kernel: "boot/vmlinuz", initrd: "boot/initrd"), wire: Bool = false
    ) throws -> MachineInput {
        let bundle = "/run/apus/bundles/web-070707070707"
        let network = wire ? NetworkPlan(index: 1) : nil
        let ports = wire ? #", "exposed_ports": [22]"# : ""
        return MachineInput(
            workload: try Fixture.workload("web", #", "kind": "vm", "vm": {\#(vm)}\#(ports)\#(more)"#),
            revision: try Fixture.digest(7), policy: NodePolicy(),
            ids: try #require(IDRange(first: IDRangePlanner.firstRange)), wire: network, host: host, parts: parts,
            paths: MachinePaths(bundle: bundle, namespace: network?.namespacePath))
    }

    static let qcow2 = MachineParts(
        disk: MachineParts.Disk(path: "disk/disk.qcow2", format: .qcow2, virtualBytes: 1 << 30))

    static func refusals(_ input: MachineInput) -> [String] {
        do throws(SandboxRefusal) {
            _ = try MachinePlan(input)
            return []
        } catch {
            return error.reasons
        }
    }
}

@Suite struct MachinePlans {
    private static func value(_ words: [String], after name: String) -> String? {
        words.firstIndex(of: name).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
    }

    private static func properties(_ plan: MachinePlan, _ name: String) -> [String] {
        plan.unit.properties.filter { $0.name == name }.map(\.value)
    }

    @Test func qemuTakesNothingByDefaultAndDeniesItselfWhatItDoesNotNeed() throws {
        let plan = try MachinePlan(try Machines.input())
        #expect(plan.qemu.first == "/usr/bin/qemu-system-x86_64")
        #expect(plan.qemu.contains("-nodefaults") && plan.qemu.contains("-no-user-config"))
        #expect(
            Self.value(plan.qemu, after: "-sandbox")
                == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
        #expect(Self.value(plan.qemu, after: "-display") == "none" && Self.value(plan.qemu, after: "-vga") == "none")
        for word in ["-monitor", "-vnc", "-spice", "-incoming", "-virtfs", "-usb", "-runas", "-drive"] {
            #expect(!plan.qemu.contains(word), "\(word)")
        }
        let sockets = plan.qemu.filter { $0.hasPrefix("socket,") }
        #expect(sockets.count == 2)
        #expect(sockets.allSatisfy { $0.contains(",path=/run/apus/bundles/web-070707070707/io/") })
        #expect(Self.value(plan.qemu, after: "-mon") == "chardev=monitor,mode=control")
        #expect(!plan.qemu.contains { $0.hasPrefix("tap,") }, "without a network no card")
    }

    @Test func aMachineWithoutFirmwareIsAMicrovmAndOneWithUEFIAPC() throws {
        let micro = try MachinePlan(try Machines.input(vm: #""firmware": "kernel", "cmdline": "a=b,c quiet""#))
        #expect(Self.value(micro.qemu, after: "-machine")?.hasPrefix("microvm,") == true)
        #expect(Self.value(micro.qemu, after: "-append") == "a=b,c quiet")
        #expect(Self.value(micro.qemu, after: "-kernel")?.hasSuffix("/files/boot/vmlinuz") == true)
        #expect(!micro.qemu.contains { $0.contains("-pci") } && !micro.hasVariables)
        // No timer of a microvm's would tell a kernel how fast its processor's clock is.
        let slow = try MachinePlan(try Machines.input(host: MachineHost(accelerator: .tcg), wire: true))
        #expect(Self.value(slow.qemu, after: "-machine") == "q35,smm=off,vmport=off")
        #expect(Self.value(slow.qemu, after: "-kernel")?.hasSuffix("/files/boot/vmlinuz") == true)
        #expect(slow.qemu.contains { $0.hasPrefix("virtio-net-pci,") } && !slow.qemu.contains { $0.contains("mmio") })
        let uefi = try MachinePlan(try Machines.input(vm: "", parts: Machines.qcow2))
        #expect(Self.value(uefi.qemu, after: "-machine")?.hasPrefix("q35,") == true)
        #expect(!uefi.qemu.contains("-kernel") && uefi.hasVariables && uefi.diskBytes == 1 << 30)
        #expect(uefi.qemu.contains { $0.contains(#""filename":"/usr/share/OVMF/OVMF_CODE_4M.fd""#) })
    }

    /// A qcow2 image's own word about what lies below it is overruled, and only the machine's layer is written.
    @Test func everyLayerOfADiskIsNamedAndTheImageIsReadOnly() throws {
        let plan = try MachinePlan(try Machines.input(vm: #""disk_size": "2g""#, parts: Machines.qcow2))
        let nodes = zip(plan.qemu, plan.qemu.dropFirst()).filter { $0.0 == "-blockdev" }.map(\.1)
        func node(_ name: String) -> String { nodes.first { $0.contains("\"node-name\":\"\(name)\"") } ?? "" }
        #expect(node("base").contains(#""backing":null"#) && node("base").contains(#""read-only":true"#))
        #expect(node("base-file").contains(#""read-only":true"#))
        #expect(node("disk").contains(#""backing":"base""#) && node("disk").contains(#""read-only":false"#))
        #expect(node("seed").contains(#""read-only":true"#))
        #expect(plan.diskBytes == 2 << 30 && plan.diskQuotaBytes > 2 << 30 && plan.diskQuotaBytes < 2200 << 20)
    }

    @Test func theUnitHasTheMachinesMemoryAndLittleMoreAndOnlyItsDevices() throws {
        let limits = #", "mem_limit": "512m", "cpus": 1.5"#
        let host = MachineHost(accelerator: .kvm, kvmGroup: 104)
        let plan = try MachinePlan(try Machines.input(limits, host: host, wire: true))
        #expect(Self.properties(plan, "MemoryMax") == ["\((512 << 20) + MachinePlan.overheadBytes)"])
        #expect(Self.properties(plan, "CPUQuota") == ["150%"])
        #expect(Self.value(plan.qemu, after: "-smp") == "2" && Self.value(plan.qemu, after: "-m") == "512M")
        #expect(Self.properties(plan, "DevicePolicy") == ["closed"])
        #expect(Self.properties(plan, "DeviceAllow") == ["/dev/kvm rw", "/dev/net/tun rw"])
        #expect(Self.properties(plan, "NetworkNamespacePath") == ["/run/apus/netns/apw1"])
        #expect(plan.unit.command.contains("--groups=104") && Self.value(plan.qemu, after: "-cpu") == "host")
        #expect(plan.unit.command.contains("--reuid=\(0x7000_0000 + 107)"))
        #expect(plan.unit.command.suffix(plan.qemu.count) == plan.qemu[...])
        for (name, value) in [
            ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("RestrictNamespaces", "yes"),
            ("RestrictAddressFamilies", "AF_UNIX"), ("MemoryDenyWriteExecute", "yes"), ("OOMPolicy", "kill"),
            ("BindPaths", "/run/apus/bundles/web-070707070707"), ("MemorySwapMax", "0"),
        ] {
            #expect(Self.properties(plan, name) == [value], "\(name)")
        }
        let slow = try MachinePlan(try Machines.input(host: MachineHost(accelerator: .tcg)))
        #expect(Self.properties(slow, "DeviceAllow").isEmpty && Self.properties(slow, "PrivateNetwork") == ["yes"])
        #expect(Self.properties(slow, "MemoryDenyWriteExecute").isEmpty && slow.unit.command.contains("--clear-groups"))
        #expect(Self.value(slow.qemu, after: "-accel")?.hasPrefix("tcg,tb-size=") == true)
    }

    @Test func theUnitEndsAMachineByItsPowerButtonAndExpandsNoVariables() throws {
        let plan = try MachinePlan(
            try Machines.input(#", "stop_grace_period": "90s""#, vm: #""firmware": "kernel", "cmdline": "a=${B} $C""#))
        let words = plan.unit.systemdRun
        #expect(words.contains("--expand-environment=no"))
        let stop = words.first { $0.hasPrefix("--property=ExecStop=") } ?? ""
        #expect(stop.hasSuffix("apus-agent machine-stop /run/apus/bundles/web-070707070707/io/qmp 90000"), "\(stop)")
        #expect(!words.contains { $0.hasPrefix("--property=ExecStopPost") })
        #expect(Self.properties(plan, "TimeoutStopSec") == ["95000ms"])
    }

    @Test func aKernelIsToldItsAddressUnlessTheDocumentNamesOne() throws {
        let told = try MachinePlan(try Machines.input(wire: true))
        #expect(
            Self.value(told.qemu, after: "-append")
                == "console=ttyS0 ip=100.127.0.3::100.127.0.2:255.255.255.254:web:eth0:off")
        let own = try MachinePlan(try Machines.input(vm: #""firmware": "kernel", "cmdline": "ip=dhcp""#, wire: true))
        #expect(Self.value(own.qemu, after: "-append") == "ip=dhcp")
    }

    @Test func whatCannotBeIsRefusedWithTheReason() throws {
        let none = MachineHost(hasQEMU: false, accelerator: .tcg)
        #expect(Machines.refusals(try Machines.input(host: none)).first?.contains("qemu-system-x86 ovmf") == true)
        let arm = MachineHost(isAMD64: false, accelerator: .kvm)
        #expect(Machines.refusals(try Machines.input(host: arm)).first?.contains("amd64") == true)
        let firmless = MachineHost(hasUEFI: false, accelerator: .kvm)
        #expect(Machines.refusals(try Machines.input(host: firmless)).isEmpty, "a kernel needs no firmware")
        let cases: [(MachineInput, String)] = [
            (try Machines.input(vm: "", host: firmless, parts: Machines.qcow2), "UEFI"),
            (try Machines.input(vm: ""), "no disk"), (try Machines.input(parts: MachineParts()), "no kernel"),
            (try Machines.input(vm: #""disk_size": "1m""#, parts: Machines.qcow2), "smaller"),
            (try Machines.input(#", "mem_limit": "16m""#), "32MiB"),
            (try Machines.input(parts: MachineParts(kernel: "boot/a,b")), "characters"),
            (try Machines.input(parts: MachineParts(kernel: "../vmlinuz")), "characters"),
        ]
        for (input, reason) in cases {
            let reasons = Machines.refusals(input)
            #expect(reasons.contains { $0.contains(reason) }, "\(reason): \(reasons)")
        }
    }
}

@Suite struct MachineImages {
    private static let digest = String(repeating: "ab", count: 32)

    @Test func aDiskMayBeAtAnAddressAndIsThenNamedByItsDigest() throws {
        let text = "https://images.example:8443/Debian/13.qcow2?a=b&c@sha256:\(Self.digest)"
        let image = try #require(WorkloadImage(text))
        #expect(image.isAddress && image.description == text && image.untagged == text)
        #expect(image.registry == "images.example:8443" && "\(image.digest.map { "\($0)" } ?? "")" == Self.digest)
        for wrong in [
            "https://images.example/a", "https://images.example@sha256:\(Self.digest)",
            "https://user@images.example/a@sha256:\(Self.digest)", "http://images.example/a@sha256:\(Self.digest)",
            "https://images.example/a b@sha256:\(Self.digest)", "https://images.example/a#b@sha256:\(Self.digest)",
            "https:///a@sha256:\(Self.digest)", "https://images.example/a\\b@sha256:\(Self.digest)",
        ] {
            #expect(WorkloadImage(wrong) == nil, "\(wrong)")
        }
        func document(_ kind: String) -> [UInt8] {
            Array(#"{"name": "box", "kind": "\#(kind)", "image": "\#(text)"}"#.utf8)
        }
        let workload = try Workload(parsing: document("vm"))
        #expect(workload.revision.image == image)
        #expect(try Workload(parsing: workload.document.json) == workload, "its own form is read again")
        #expect(try Workload(parsing: document("container")).revision.image == image, "of a container it is an archive")
    }
}

@Suite struct MachineFarewells {
    private static let greeting = #"{"QMP": {"version": {"qemu": {"major": 10}}, "capabilities": ["oob"]}}"#

    @Test func theButtonIsPressedOnceTheMonitorIsReadyAndTheShutdownHeard() throws {
        var farewell = MachineFarewell()
        #expect(farewell.again() == nil)
        // In pieces of any size.
        for byte in Self.greeting.utf8.dropLast() { #expect(try farewell.take([byte]).isEmpty) }
        let ready = try farewell.take(Array("}\r\n".utf8))
        #expect(ready == [.send(Array("{\"execute\":\"qmp_capabilities\"}\n".utf8))])
        let pressed = try farewell.take(Array("{\"return\": {}}\r\n".utf8))
        #expect(pressed == [.send(Array("{\"execute\":\"system_powerdown\"}\n".utf8))])
        #expect(farewell.again() != nil)
        #expect(try farewell.take(Array(#"{"event": "POWERDOWN", "timestamp": {"seconds": 1}}"#.utf8) + [10]).isEmpty)
        #expect(try farewell.take(Array(#"{"event": "SHUTDOWN", "data": {"guest": true}}"#.utf8) + [10]) == [.shutDown])
        #expect(farewell.again() == nil)
    }

    @Test func aHostileMonitorIsRefusedOrPassedOverAndNeverAnswered() throws {
        var long = MachineFarewell()
        #expect(throws: WireError.self) {
            try long.take([UInt8](repeating: 0x41, count: MachineFarewell.lineBytes + 1))
        }
        var lying = MachineFarewell()
        #expect(try lying.take(Array("{\"event\":\"SHUTDOWN\"}\n{\"return\":{}}\n".utf8)).isEmpty)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var farewell = MachineFarewell()
            let bytes = (0..<Int.random(in: 0..<200, using: &random)).map { _ in
                UInt8.random(in: 9...126, using: &random)
            }
            _ = try? farewell.take(bytes + [10])
            #expect(farewell.again() == nil)
        }
    }
}
