import Contract
import Store
import Testing

@testable import ControlPlane

struct NodeLifeTests {
    private func node(_ state: NodeState, wasOnline: Bool = false, status: NodeStatus? = nil) throws -> NodeRecord {
        let id = try #require(NodeID(String(repeating: "1", count: 26)))
        var node = NodeRecord(
            id: id, state: state, reason: "",
            keyDigest: try #require(Digest256(bytes: [UInt8](repeating: 1, count: 32))),
            identity: nil, labels: [:], inventory: TestNode.inventory(serial: "", uuid: ""), registeredSeconds: 0)
        node.wasOnline = wasOnline
        node.status = status
        return node
    }

    @Test func onlineNeedsSlotAndEntryThatTheFirmwareStarted() throws {
        let failed = CheckResult(name: "units", passed: false, detail: "x")
        let cases: [(NodeStatus, NodeState)] = [
            (AdmittedNode.status(), .online),
            (AdmittedNode.status(entry: nil), .provisioning),
            (AdmittedNode.status(byFirmware: false), .provisioning),
            (AdmittedNode.status(phase: .probation), .provisioning),
            (AdmittedNode.status(health: [failed]), .provisioning),
            (AdmittedNode.status(slot: nil, entry: nil), .admitted),
        ]
        for (status, expected) in cases {
            let outcome = NodeLife.receive(status, from: try node(.admitted))
            #expect(outcome.standing.state == expected)
            #expect(outcome.wasOnline == (expected == .online))
        }
    }

    @Test func onceOnlineAFailingCheckOrAKexecKeepsItSo() throws {
        let failed = CheckResult(name: "units", passed: false, detail: "x")
        let unhealthy = NodeLife.receive(
            AdmittedNode.status(health: [failed]), from: try node(.online, wasOnline: true))
        #expect(unhealthy.standing.state == .online)
        #expect(unhealthy.standing.reason.contains("units"))
        let kexec = NodeLife.receive(AdmittedNode.status(byFirmware: false), from: try node(.online, wasOnline: true))
        #expect(kexec.standing.state == .online)
    }

    @Test(arguments: [NodeStatus.Phase.installing, .restarting, .probation])
    func phasesOfAnUpgrade(_ phase: NodeStatus.Phase) throws {
        let outcome = NodeLife.receive(AdmittedNode.status(phase: phase), from: try node(.online, wasOnline: true))
        #expect(outcome.standing.state == .upgrading)
        let back = NodeLife.receive(AdmittedNode.status(), from: try node(.upgrading, wasOnline: true))
        #expect(back.standing.state == .online)
    }

    @Test(arguments: [NodeState.retired, .maintenance, .pending])
    func onlyAnOperatorMovesANodeOutOfThese(_ state: NodeState) throws {
        #expect(NodeLife.receive(AdmittedNode.status(), from: try node(state)).standing.state == state)
    }

    @Test func newsAreToldOnce() throws {
        let digest = try #require(Digest256(bytes: [UInt8](repeating: 2, count: 32)))
        let status = AdmittedNode.status(
            health: [CheckResult(name: "app", passed: false, detail: "down")],
            outcome: UpgradeOutcome(release: digest, version: "2.0", result: .rolledBack, reason: "check 'app' failed"),
            quarantined: [QuarantinedRelease(release: digest, reason: "check 'app' failed")])
        let first = NodeLife.receive(status, from: try node(.online, wasOnline: true))
        #expect(first.news.map(\.kind) == ["boot", "quarantine", "upgrade", "health"])
        #expect(first.news.first?.message.contains("Boot0003") == true)
        #expect(first.news[2].message == "version 2.0 was rolled back: check 'app' failed")
        #expect(NodeLife.receive(status, from: try node(.online, wasOnline: true, status: status)).news.isEmpty)
    }

    @Test func stepsOfProvisioningMoveANode() throws {
        func step(_ state: StepReport.State, _ sequence: String = "provision") -> StepReport {
            StepReport(sequence: sequence, step: "stream-image", state: state, milliseconds: 1, detail: "no disk")
        }
        #expect(NodeLife.receive(step(.started), from: try node(.admitted))?.state == .provisioning)
        #expect(NodeLife.receive(step(.failed), from: try node(.provisioning))?.state == .failed)
        #expect(NodeLife.receive(step(.failed), from: try node(.provisioning))?.reason.contains("no disk") == true)
        #expect(NodeLife.receive(step(.started), from: try node(.failed))?.state == .provisioning)
        #expect(NodeLife.receive(step(.started), from: try node(.online, wasOnline: true)) == nil)
        #expect(NodeLife.receive(step(.started, "upgrade"), from: try node(.admitted)) == nil)
        #expect(NodeLife.receive(step(.started), from: try node(.retired)) == nil)
    }
}

struct PlanOptionsTests {
    @Test func labelsSayHowToInstall() throws {
        let options = try PlanOptions(labels: [
            "site": "lab", "apus.disk.overwrite": "yes", "apus.disk.transports": "nvme,sata",
            "apus.disk.minimum-bytes": "8589934592", "apus.hand-over": "kexec", "apus.layout.root-bytes": "1073741824",
        ])
        #expect(options.disk.overwriteForeignData)
        #expect(options.disk.transports == ["nvme", "sata"])
        #expect(options.disk.minimumSizeBytes == 8 << 30)
        #expect(options.handOver == .kexec)
        #expect(options.layout.rootBytes == 1 << 30)
    }

    @Test(arguments: [
        ("apus.nonsense", "1"), ("apus.hand-over", "later"), ("apus.disk.minimum-bytes", "-1"),
        ("apus.layout.root-bytes", "4097"), ("apus.layout.root-bytes", "99999999999999999999"),
        ("apus.disk.overwrite", "maybe"), ("apus.disk.transports", ""), ("apus.disk.transports", "floppy"),
        ("UPPER", "x"), ("", "x"), ("a", "line\nbreak"), ("a", String(repeating: "x", count: 256)),
    ])
    func badLabelsAreRefused(_ name: String, _ value: String) {
        #expect(LabelRule.problem([name: value]) != nil)
    }

    @Test func sizesThatNoDiskCanMeetAreRefused() {
        let impossible: [[String: String]] = [
            ["apus.disk.minimum-bytes": "20971520", "apus.disk.maximum-bytes": "10485760"],
            ["apus.disk.maximum-bytes": "1073741824"],
            ["apus.layout.boot-bytes": "1048576"], ["apus.layout.recovery-bytes": "33554432"],
        ]
        for labels in impossible {
            let problem = LabelRule.problem(labels)
            #expect(problem?.contains("apus.") == true, "\(labels)")
        }
        #expect(
            LabelRule.problem(["apus.disk.minimum-bytes": "8589934592", "apus.disk.maximum-bytes": "8589934592"]) == nil
        )
        #expect(LabelRule.problem(["BAD\u{7}": "x"])?.contains("'BAD'") == true)
    }

    @Test func plainLabelsAreAccepted() { #expect(LabelRule.problem(["rack/row": "7 b", "env": ""]) == nil) }
}
