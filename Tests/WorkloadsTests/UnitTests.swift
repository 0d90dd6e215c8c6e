import TestSupport
import Testing

@testable import Workloads

@Suite struct Units {
    static func properties(_ more: String = "", devices: [GrantedDevice] = []) throws -> [String] {
        let policy = NodePolicy(permissions: Set(WorkloadPermission.allCases))
        return try Sandbox.plan(Fixture.input(more, policy: policy, devices: devices)).unit.properties.map(
            \.description)
    }

    @Test func everythingHasALimitWithoutAWord() throws {
        let properties = try Self.properties()
        for expected in [
            "Slice=apus-workloads.slice", "MemoryMax=268435456", "MemorySwapMax=0", "OOMPolicy=kill", "TasksMax=256",
            "CPUQuota=100%", "DevicePolicy=closed", "KillMode=mixed", "KillSignal=SIGTERM", "TimeoutStopSec=10000ms",
            "SendSIGKILL=yes", "LimitCORE=0", "Restart=always", "RestartSec=1000ms", "RestartSteps=9",
            "RestartMaxDelaySec=300000ms", "StartLimitBurst=11",
        ] {
            #expect(properties.contains(expected), "\(expected) is not among \(properties)")
        }
        #expect(!properties.contains { $0.hasPrefix("Delegate") || $0.hasPrefix("User=") })
    }

    @Test func aDocumentsLimitsReachTheUnit() throws {
        let properties = try Self.properties(
            #", "mem_limit": "1g", "cpus": 0.25, "pids_limit": 7, "restart": "no", "stop_signal": "SIGINT","#
                + #" "blkio_config": {"weight": 50, "read_bps": "1m", "write_iops": 100}"#)
        for expected in [
            "MemoryMax=1073741824", "CPUQuota=25%", "TasksMax=7", "IOWeight=50", "IOReadBandwidthMax=/var 1048576",
            "IOWriteIOPSMax=/var 100", "Restart=no", "KillSignal=SIGINT",
        ] {
            #expect(properties.contains(expected), "\(expected) is not among \(properties)")
        }
    }

    @Test func onlyGrantedDevicesAreAdded() throws {
        let standard = ["DeviceAllow=/dev/tty rw", "DeviceAllow=/dev/ptmx rw", "DeviceAllow=char-pts rw"]
        #expect(try Self.properties().filter { $0.hasPrefix("DeviceAllow") } == standard)
        let device = GrantedDevice(
            path: "/dev/bus/usb/001/004", target: "/dev/bus/usb/001/004", isBlock: false, major: 189, minor: 3,
            isWritable: true)
        let granted = try Self.properties(devices: [device]).filter { $0.hasPrefix("DeviceAllow") }
        #expect(granted == standard + ["DeviceAllow=/dev/char/189:3 rw"])
    }

    /// systemd itself reads the settings as a unit file; what only newer versions know is named here.
    @Test(.enabled(if: location(of: "systemd-analyze") != nil, "systemd-analyze is not installed"))
    func systemdUnderstandsEverySetting() throws {
        let scratch = try Scratch()
        let more = #", "blkio_config": {"read_bps": "1m", "write_bps": "1m", "read_iops": 10, "write_iops": 10}"#
        let unit = try Sandbox.plan(Fixture.input(more)).unit
        let inUnit = unit.properties.filter { $0.name.hasPrefix("StartLimit") }
        let inService = unit.properties.filter { !$0.name.hasPrefix("StartLimit") }
        try scratch.file(
            "apus-test.service",
            """
            [Unit]
            Description=\(unit.description)
            \(inUnit.map(\.description).joined(separator: "\n"))
            [Service]
            ExecStart=/bin/true
            ExecStopPost=-/bin/true
            \(inService.map(\.description).joined(separator: "\n"))

            """)
        let result = outcome(of: ["systemd-analyze", "verify", "--man=no", "\(scratch.path)/apus-test.service"])
        let complaints = result.output.split(separator: "\n").filter { line in
            // Debian 12's systemd 252 is older than the node's 257.
            line.contains("apus-test") && !line.contains("RestartSteps") && !line.contains("RestartMaxDelaySec")
                && !line.contains("MemoryZSwapMax")
        }
        #expect(complaints.isEmpty, "\(complaints)")
    }

    @Test func theCommandLineIsOneThatSystemdRunTakes() throws {
        let unit = try Sandbox.plan(Fixture.input()).unit
        let words = unit.systemdRun
        #expect(unit.name == "apus-workload-web-070707070707.service")
        #expect(words.first == "systemd-run" && words.contains("--unit=\(unit.name)"))
        let separator = try #require(words.firstIndex(of: "--"))
        #expect(Array(words[(separator + 1)...]) == unit.command)
        #expect(unit.command.contains("--cgroup-manager=disabled") && unit.command.last == "web-070707070707")
        let slice = SystemdUnit.sliceProperties(totalMemoryBytes: 1 << 30, reservedMemoryBytes: 256 << 20)
        #expect(slice.contains(UnitProperty("MemoryMax", "\(768 << 20)")))
    }
}
