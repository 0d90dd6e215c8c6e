import Contract
import Cryptography
import Foundation
import HTTPTypes

@testable import ControlPlane

/// A machine: its key, its nonce and what it claims to be.
struct TestNode: Sendable {
    let key: P256PrivateKey
    let nonce: [UInt8]
    var inventory: Inventory

    init(serial: String = "SN-" + UUID().uuidString, uuid: String = UUID().uuidString.lowercased()) throws {
        key = try P256PrivateKey()
        nonce = try randomBytes(32)
        inventory = Self.inventory(serial: serial, uuid: uuid)
    }

    static func inventory(serial: String, uuid: String) -> Inventory {
        Inventory(
            smbios: .init(manufacturer: "Maker", product: "Box", serial: serial, uuid: uuid, assetTag: ""),
            architecture: .amd64, processor: "cpu", processorCount: 4, memoryBytes: 4 << 30,
            networkInterfaces: [
                .init(name: "eth0", address: "52:54:00:00:00:01", driver: "virtio_net", path: "pci", hasLink: true)
            ],
            disks: [], usb: [], pci: [], hasTPM: false,
            firmware: .init(vendor: "EDK II", version: "1", secureBoot: false), clockSeconds: 1_800_000_000)
    }

    var keyDigest: Digest256 {
        get throws { try Secrets.digest(key.publicKey.spkiDigest) }
    }

    func request(token: String? = nil) throws -> RegistrationRequest {
        let input = RegistrationTranscript.commitmentInput(nodeKey: try keyDigest, nodeNonce: nonce)
        return RegistrationRequest(
            certificateRequest: try CertificateRequest.make(key: key, commonName: "new node"),
            commitment: try Secrets.digest(SHA256.digest(input)), token: token, inventory: inventory,
            bootArtifactVersion: "test")
    }

    /// Registers and reveals; returns the reply and where the registration then stands.
    func register(
        _ caller: TestCaller, token: String? = nil
    ) async throws -> (reply: RegistrationReply, status: RegistrationStatus) {
        let reply = try await caller.exchange(
            .post, "/v1/registrations", try request(token: token), as: RegistrationReply.self)
        let status = try await caller.exchange(
            .post, "/v1/registrations/\(reply.registrationID)/reveal",
            RegistrationReveal(nodeNonce: nonce.lowercaseHex),
            headers: reply.bearer, as: RegistrationStatus.self)
        return (reply, status)
    }

    /// The code that the machine's screen shows.
    func code(_ reply: RegistrationReply, site: TestSite) throws -> String {
        let authority = try Certificate(
            pem: try String(contentsOfFile: site.directory.authorityCertificate, encoding: .utf8))
        let input = RegistrationTranscript.codeInput(
            nodeKey: try keyDigest, serverKey: try Secrets.digest(authority.spkiDigest), nodeNonce: nonce,
            serverNonce: [UInt8](lowercaseHex: reply.serverNonce) ?? [])
        return RegistrationTranscript.code(from: try Secrets.digest(SHA256.digest(input)))
    }
}

extension RegistrationReply {
    var bearer: HTTPFields { [.authorization: "Bearer \(secret)"] }
}

/// A node that was admitted.
struct AdmittedNode: Sendable {
    let machine: TestNode
    let id: NodeID
    let certificate: String

    /// Registers a machine with a token of its own.
    static func make(_ site: TestSite, machine: TestNode? = nil, labels: [String: String] = [:]) async throws -> Self {
        let machine = try machine ?? TestNode()
        let token = try await site.administrator {
            try await $0.exchange(
                .post, "/v1/tokens", TokenRequest(note: "", uses: 1, lifetimeSeconds: 3600, labels: labels),
                as: TokenView.self)
        }
        let status = try await site.anyone { try await machine.register($0, token: token.secret).status }
        guard let id = status.nodeID, let certificate = status.certificate else {
            throw ServerProblem("not admitted: \(status.reason)")
        }
        return AdmittedNode(machine: machine, id: id, certificate: certificate)
    }

    func connect<Value: Sendable>(
        _ site: TestSite, _ body: @escaping @Sendable (TestCaller) async throws -> Value
    ) async throws -> Value {
        try await site.node(certificate: certificate, key: try machine.key.pem(), body)
    }

    static func status(
        phase: NodeStatus.Phase = .steady, slot: SlotName? = .a, entry: UInt16? = 3, byFirmware: Bool = true,
        health: [CheckResult] = [], bootID: String = "boot-1", acknowledged: [String] = [],
        outcome: UpgradeOutcome? = nil, quarantined: [QuarantinedRelease] = []
    ) -> NodeStatus {
        NodeStatus(
            phase: phase, runningSlot: slot, bootEntry: entry, startedByFirmware: byFirmware, committedSlot: .a,
            slots: [
                .a: SlotReport(state: "verified", version: "1.0"), .b: SlotReport(state: "verified", version: "1.0"),
            ],
            generation: 1, acknowledgedCommands: acknowledged, quarantined: quarantined, lastUpgrade: outcome,
            health: health, bootID: bootID, uptimeSeconds: 60, agentVersion: "1.0")
    }
}
