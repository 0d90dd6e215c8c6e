import Testing

@testable import Workloads

@Suite struct Sandboxes {
    static func refusal(_ more: String, _ policy: NodePolicy = NodePolicy()) throws -> String {
        do {
            try Permissions.check(Fixture.workload("web", more).revision, policy)
            return ""
        } catch let refusal as SandboxRefusal {
            return refusal.description
        }
    }

    @Test func thePostureNeedsNoWord() throws {
        let config = try Sandbox.plan(Fixture.input()).runtimeConfig.value
        let process = try #require(config["process"])
        #expect(process["noNewPrivileges"] == .bool(true))
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            #expect(process["capabilities"]?[set] == .array([]))
        }
        #expect(process["apparmorProfile"] == .string("apus-workload"))
        #expect(config["root"]?["readonly"] == .bool(true))
        let linux = try #require(config["linux"])
        #expect(linux["resources"] == nil && linux["cgroupsPath"] == nil && linux["devices"] == nil)
        let types = ["pid", "ipc", "uts", "mount", "user", "cgroup", "network"]
        #expect(linux["namespaces"] == .array(types.map { .object(["type": .string($0)]) }))
        let mapping = DocumentValue.object([
            "containerID": .integer(0), "hostID": .integer(0x7000_0000), "size": .integer(65_536),
        ])
        #expect(linux["uidMappings"] == .array([mapping]) && linux["gidMappings"] == .array([mapping]))
    }

    /// A path there may be a descriptor that leads out of the root.
    @Test func aWorkingDirectoryInTheKernelsFilesIsRefused() throws {
        for path in ["/proc/self/fd/7", "/proc", "/sys/fs", "/dev/fd/3"] {
            #expect(throws: SandboxRefusal.self) { try Sandbox.plan(Fixture.input(#", "working_dir": "\#(path)""#)) }
        }
        for path in ["/procedures", "/app/proc", "/"] {
            let plan = try Sandbox.plan(Fixture.input(#", "working_dir": "\#(path)""#))
            #expect(plan.runtimeConfig.workingDirectory == path)
        }
        // An image says it in any form.
        for path in ["/proc/self/fd/7", "//proc/self", "/app/../proc/self/fd/7", "/./dev/fd/3", "/../proc"] {
            var input = try Fixture.input()
            input.image.workingDirectory = path
            #expect(throws: SandboxRefusal.self) { try Sandbox.plan(input) }
        }
        var input = try Fixture.input()
        input.image.workingDirectory = "../app"
        #expect(try Sandbox.plan(input).runtimeConfig.workingDirectory == "/")
    }

    @Test func everyMountIsHarmless() throws {
        let more = #"""
            , "volumes": [{"type": "volume", "source": "d", "target": "/data", "volume": {"size": "1g"}},
                          {"type": "tmpfs", "target": "/data/cache", "tmpfs": {"size": "1m"}}], "secrets": ["key"]
            """#
        let plan = try Sandbox.plan(Fixture.input(more))
        let mounts = plan.runtimeConfig.mounts
        #expect(mounts.allSatisfy { $0.options.contains("nosuid") })
        #expect(
            mounts.filter { $0.type == "tmpfs" }.allSatisfy { mount in
                mount.options.contains { $0.hasPrefix("size=") }
                    && mount.options.contains { $0.hasPrefix("nr_inodes=") }
            })
        // A sysfs of the node's namespaces would show the node; there is none at all.
        #expect(!mounts.contains { $0.type == "sysfs" })
        #expect(
            mounts.filter { $0.destination != "/dev" && $0.destination != "/dev/pts" }.allSatisfy {
                $0.options.contains("nodev")
            })
        let order = mounts.map(\.destination)
        #expect(try #require(order.firstIndex(of: "/data")) < #require(order.firstIndex(of: "/data/cache")))
        #expect(plan.secrets.first?.uid == 0x7000_0000 && plan.secrets.first?.mode == 0o400)
        #expect(plan.volumes.first?.inodes == 65_536 && plan.volumes.first?.bytes == 1 << 30)
    }

    @Test func theDocumentsWordsComeBeforeTheImages() throws {
        let config = try Sandbox.plan(Fixture.input(#", "environment": {"A": "document", "B": "2"}"#)).runtimeConfig
        #expect(config.environment == ["PATH=/bin", "A=document", "B=2"])
        var input = try Fixture.input(#", "entrypoint": ["/e"]"#)
        #expect(RuntimeConfig.arguments(input) == ["/e"])
        input.image.entrypoint = ["/image"]
        input.workload.revision.entrypoint = nil
        #expect(RuntimeConfig.arguments(input) == ["/image", "/bin/app"])
        #expect(throws: SandboxRefusal.self) { try Sandbox.plan(Fixture.input(command: [])) }
    }

    @Test(arguments: WorkloadPermission.allCases)
    func aPermissionIsRefusedByNameUnlessThePolicyHasIt(_ permission: WorkloadPermission) throws {
        let more = #", "permissions": ["\#(permission.rawValue)"]"#
        #expect(try Self.refusal(more) == "permission '\(permission.rawValue)' is not allowed by this node's policy")
        #expect(try Self.refusal(more, NodePolicy(permissions: [permission])) == "")
    }

    @Test(arguments: [
        (#", "read_only": false"#, "writable-root"), (#", "ulimits": {"memlock": 1048576}"#, "locked-memory"),
        (#", "stop_grace_period": "11s""#, "slow-stop"), (#", "ports": ["80:80"]"#, "low-ports"),
        (#", "egress": [{"to": "0.0.0.0/0", "ports": [443]}]"#, "wide-egress"),
        (#", "egress": [{"to": "2000::/3", "ports": [443]}]"#, "wide-egress"),
    ])
    func whatLoosensMustBeAskedForByName(_ more: String, _ permission: String) throws {
        let everything = NodePolicy(permissions: Set(WorkloadPermission.allCases))
        #expect(try Self.refusal(more, everything).contains("needs the permission '\(permission)'"))
        #expect(try Self.refusal(#"\#(more), "permissions": ["\#(permission)"]"#, everything) == "")
    }

    @Test func theNodesCeilingsAndItsOwnPortsHold() throws {
        let policy = NodePolicy(
            maximumMemoryBytes: 64 << 20, maximumMilliCPUs: 500, maximumPIDs: 10, maximumVolumeBytes: 1 << 20,
            reservedPorts: [8443])
        let more =
            #", "ports": ["8443:1"], "volumes": [{"type":"volume","source":"d","target":"/d","volume":{"size":"2m"}}]"#
        let refusal = try Self.refusal(more, policy)
        for field in ["mem_limit", "cpus", "pids_limit", "volume 'd'", "port 8443 is reserved"] {
            #expect(refusal.contains(field))
        }
        for target in ["169.254.169.254", "127.0.0.1", "fe80::1", "fd00:ec2::254", "168.63.129.16"] {
            let rule = #", "egress": [{"to": "\#(target)", "ports": [80]}]"#
            #expect(try Self.refusal(rule).contains("is never possible"))
        }
    }

    @Test func onlyWhatWasAskedForIsLoosened() throws {
        let policy = NodePolicy(permissions: Set(WorkloadPermission.allCases))
        let more = #", "permissions": ["capability.setuid", "capability.chown"], "pids_limit": 5"#
        let config = try Sandbox.plan(Fixture.input(more, policy: policy)).runtimeConfig
        #expect(config.capabilities == ["CAP_CHOWN", "CAP_SETUID"])
        var plain = try Sandbox.plan(Fixture.input(#", "pids_limit": 5"#)).runtimeConfig
        plain.capabilities = config.capabilities
        #expect(plain == config)
    }

    @Test func aNetworkIsAssignedExactlyWhereItIsWanted() throws {
        let wire = try #require(NetworkPlan(index: 3))
        #expect(throws: SandboxRefusal.self) { try Sandbox.plan(Fixture.input(wire: wire)) }
        #expect(throws: SandboxRefusal.self) { try Sandbox.plan(Fixture.input(#", "ports": ["8080:80"]"#)) }
        let plan = try Sandbox.plan(Fixture.input(#", "ports": ["8080:80"]"#, wire: wire))
        #expect(plan.runtimeConfig.networkNamespace == "/run/apus/netns/apw3")
        // Ports are switched to a revision once it is healthy.
        #expect(plan.firewall?.ports.isEmpty == true)
    }

    @Test func rangesOfIDsAreDisjointAndStay() throws {
        let names = try (0..<256).map { try #require(WorkloadName("w\($0)")) }
        let first = try #require(IDRangePlanner.assign(names, existing: [:]))
        #expect(Set(first.values).count == 256)
        #expect(first.values.allSatisfy { $0.first >= IDRangePlanner.firstRange && $0.first.isMultiple(of: 65_536) })
        let later = try #require(IDRangePlanner.assign(Array(names[100...]), existing: first, kept: [names[0]]))
        #expect(names[100...].allSatisfy { first[$0] == later[$0] })
        #expect(later[names[0]] == first[names[0]] && later[names[1]] == nil)
        let new = try #require(WorkloadName("new"))
        let again = try #require(IDRangePlanner.assign([new], existing: later, kept: Set(later.keys)))
        #expect(Set(again.values).count == again.count)
        #expect(IDRange(first: 65_536 * 3 + 1) == nil && IDRange(first: 0) == nil && IDRange(first: 1 << 31) == nil)
    }

    @Test func wiresHaveAddressesOfTheirOwn() throws {
        let wires = try (1...300).map { try #require(NetworkPlan(index: $0)) }
        let addresses = wires.flatMap { [$0.hostVersion4, $0.guestVersion4, $0.hostVersion6, $0.guestVersion6] }
        #expect(Set(addresses).count == addresses.count)
        #expect(Set(wires.flatMap { [$0.hostMAC, $0.guestMAC] }).count == 600)
        #expect(wires.allSatisfy { $0.hostInterface.utf8.count <= 15 })
        #expect(
            wires[0].guestVersion4.description == "100.127.0.3"
                && wires[0].guestVersion6.description == "fd61:7075:7300::3")
        #expect(
            NetworkPlan(index: 0) == nil && NetworkPlan(index: 200, pool: NetworkPool(version4: "192.0.2.0/24")) == nil)
        #expect(NetworkPlan(index: 1, pool: NetworkPool(version4: "x")) == nil)
    }
}
