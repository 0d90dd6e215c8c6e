import Contract
import Store
import Testing

@testable import ControlPlane

/// The decision table of registrations.
struct JudgementTests {
    private let one: NodeID
    private let two: NodeID

    init() throws {
        one = try #require(NodeID(String(repeating: "1", count: 26)))
        two = try #require(NodeID(String(repeating: "2", count: 26)))
    }

    private func node(
        _ id: NodeID, state: NodeState = .online, admitted: Bool = true, online: Bool = true, wipe: Bool = false,
        token: String? = nil
    ) -> Evidence.KnownNode {
        Evidence.KnownNode(
            id: id, state: state, wasAdmitted: admitted, wasOnline: online, wipeRequested: wipe, tokenID: token)
    }

    @Test func unknownMachineWaits() {
        guard case .wait(.new, _) = judge(Evidence()) else { return #expect(Bool(false), "a person must act") }
    }

    @Test func goodTokenOrListedSerialAdmits() {
        #expect(judge(Evidence(token: .valid(id: "t"))) == .approve(.new, by: .token(id: "t", consuming: true)))
        #expect(judge(Evidence(serialIsListed: true)) == .approve(.new, by: .listedSerial))
    }

    @Test(arguments: [Refusal.tokenUnknown, .tokenExpired, .tokenRevoked])
    func badTokenRefusesWhateverElseSpeaksForIt(_ refusal: Refusal) {
        let evidence = Evidence(token: .refused(refusal), twins: [node(one, wipe: true)], serialIsListed: true)
        #expect(judge(evidence) == .refuse(refusal))
    }

    @Test func usedUpTokenRefuses() {
        #expect(judge(Evidence(token: .usedUp(id: "t"), serialIsListed: true)) == .refuse(.tokenUsedUp))
    }

    @Test(arguments: [Evidence.Token.none, .valid(id: "t"), .usedUp(id: "t"), .refused(.tokenRevoked)])
    func knownKeyIsItsNodeWhateverTheToken(_ token: Evidence.Token) {
        let evidence = Evidence(token: token, owner: node(one), twins: [node(two)], identityProblem: "junk")
        #expect(judge(evidence) == .approve(.same(one), by: .knownKey))
    }

    @Test func retiredKeyIsRefused() {
        let evidence = Evidence(token: .valid(id: "t"), owner: node(one, state: .retired))
        #expect(judge(evidence) == .refuse(.nodeRetired))
    }

    @Test func pendingMachineThatStartsAgainKeepsItsRecord() {
        let owner = node(one, state: .pending, admitted: false, online: false)
        guard case .wait(.same(one), _) = judge(Evidence(owner: owner)) else { return #expect(Bool(false)) }
        #expect(
            judge(Evidence(token: .valid(id: "t"), owner: owner))
                == .approve(.same(one), by: .token(id: "t", consuming: true)))
    }

    @Test(arguments: [Evidence.Token.valid(id: "t"), .none])
    func junkIdentityWaitsEvenWithAToken(_ token: Evidence.Token) {
        let evidence = Evidence(token: token, identityProblem: "its firmware gives no UUID")
        guard case .wait(.new, _) = judge(evidence) else { return #expect(Bool(false)) }
    }

    @Test func anotherKeyWithANodesIdentityWaitsAndIsNeverMerged() {
        for token in [Evidence.Token.valid(id: "t"), .none] {
            guard case .wait(.new, let reason) = judge(Evidence(token: token, twins: [node(one, token: "s")])) else {
                return #expect(Bool(false))
            }
            #expect(reason.contains(one.rawValue))
        }
    }

    @Test func machineThatLostItsKeyBeforeItsFirstStartIsTheSameAttempt() {
        let unfinished = node(one, state: .provisioning, online: false, token: "t")
        for token in [Evidence.Token.valid(id: "t"), .usedUp(id: "t")] {
            #expect(
                judge(Evidence(token: token, twins: [unfinished]))
                    == .approve(.instead(of: one), by: .token(id: "t", consuming: false)))
        }
        guard case .wait(.new, _) = judge(Evidence(token: .valid(id: "other"), twins: [unfinished])) else {
            return #expect(Bool(false), "another token is another party")
        }
        let two = Evidence(token: .valid(id: "t"), twins: [unfinished, node(two, online: false, token: "t")])
        guard case .wait(.new, _) = judge(two) else { return #expect(Bool(false), "two candidates are a conflict") }
    }

    @Test func wipedNodeComesBackWithAnotherKey() {
        let wiped = node(one, wipe: true)
        #expect(
            judge(Evidence(token: .valid(id: "t"), twins: [wiped]))
                == .approve(.instead(of: one), by: .token(id: "t", consuming: true)))
        guard case .wait(.new, let reason) = judge(Evidence(twins: [wiped])) else { return #expect(Bool(false)) }
        #expect(reason.contains(one.rawValue))
        #expect(placeOnApproval(of: two, twins: [wiped]) == .instead(of: one))
        #expect(placeOnApproval(of: two, twins: [node(one)]) == .same(two), "approved by hand, it is a node of its own")
    }
}

/// The course of one registration.
struct RegistrationMachineTests {
    @Test func approvedAtTheReveal() {
        var machine = RegistrationMachine()
        #expect(machine.poll() == .demandReveal)
        let judgement = Judgement.approve(.new, by: .listedSerial)
        #expect(machine.reveal(fitsCommitment: true) { judgement } == .carryOut(judgement))
        #expect(machine.phase == .approved)
        #expect(machine.poll() == .admit)
        #expect(machine.poll() == .report, "one certificate a registration")
        #expect(machine.reveal(fitsCommitment: true) { judgement } == .report)
    }

    @Test func waitsForACode() {
        var machine = RegistrationMachine()
        _ = machine.reveal(fitsCommitment: true) { .wait(.new, reason: "") }
        #expect(machine.poll() == .report)
        #expect(machine.code(matches: false) == .reject(attemptsLeft: 4))
        #expect(machine.code(matches: true) == .approve)
        #expect(machine.code(matches: true) == .nothingToApprove)
        #expect(machine.poll() == .admit)
    }

    @Test func closesAfterTooManyWrongCodes() {
        var machine = RegistrationMachine(phase: .waiting, wrongCodes: 4)
        #expect(machine.code(matches: false) == .close)
        #expect(machine.code(matches: true) == .nothingToApprove)
        #expect(machine.poll() == .report)
    }

    @Test func closesWhereTheNonceDoesNotFit() {
        var machine = RegistrationMachine()
        #expect(machine.reveal(fitsCommitment: false) { .refuse(.nodeRetired) } == .refuse(.commitmentMismatch))
        #expect(machine.phase == .refused)
    }

    @Test func codesAreReadAsPeopleTypeThem() {
        #expect(ChallengeCode.normalized("o1il-abcd") == Array("0111ABCD".utf8))
        #expect(ChallengeCode.normalized(" 01 11-ABCD\n") == Array("0111ABCD".utf8))
        #expect(ChallengeCode.normalized(String(repeating: "A", count: 1_000_000)).count == 64)
    }
}

struct SMBIOSIdentityTests {
    private static let uuid = "4c4c4544-0042-3510-8052-b4c04f4a4d32"

    @Test func usableIdentityIsUUIDAndSerial() {
        let smbios = Inventory.SMBIOS(
            manufacturer: "", product: "", serial: " 7XK 22 ", uuid: Self.uuid.uppercased(), assetTag: "")
        #expect(SMBIOSIdentity.text(smbios) == Self.uuid + "|7XK 22")
        #expect(SMBIOSIdentity.problem(smbios) == nil)
    }

    @Test(arguments: [
        ("", "S1"), ("nonsense", "S1"), ("00000000-0000-0000-0000-000000000000", "S1"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "S1"), ("03000200-0400-0500-0006-000700080009", "S1"),
        (uuid, ""), (uuid, "0"), (uuid, "To be filled by O.E.M."), (uuid, "Default string"), (uuid, "00000000"),
        (uuid, "None"), (uuid, "System Serial Number"), (uuid, "Not Specified"), (uuid, "........"),
    ])
    func junkIsNoIdentity(_ uuid: String, _ serial: String) {
        let smbios = Inventory.SMBIOS(manufacturer: "", product: "", serial: serial, uuid: uuid, assetTag: "")
        #expect(SMBIOSIdentity.text(smbios) == nil)
        #expect(SMBIOSIdentity.problem(smbios) != nil)
    }
}
