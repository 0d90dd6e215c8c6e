public import Contract
internal import Cryptography
internal import Fetch
internal import Linux
internal import Release
public import Sequences

/// The server as a machine sees it that is not yet a node.
public final class NodeRegistration: RegistrationEffect {
    private let context: EarlyContext
    private var inventory: Inventory?
    private var reply: RegistrationReply?
    private var status: RegistrationStatus?
    private var code = ""
    private var shown = ""

    /// Makes it over what was learnt so far.
    public init(_ context: EarlyContext) { self.context = context }

    /// The registration's id; empty before there is one.
    public var registrationID: String { reply?.registrationID ?? "" }

    /// Commits to a nonce, gets the server's, and opens the commitment.
    public func register(_ inventory: Inventory) throws {
        let trust = try context.trust()
        let authority = try Certificate(pem: try context.caCertificate())
        let key = try context.key ?? P256PrivateKey()
        context.key = key
        guard let nodeKey = Digest256(bytes: key.publicKey.spkiDigest),
            let serverKey = Digest256(bytes: authority.spkiDigest)
        else { throw NodeError("a public key has no SHA-256 digest") }
        let nonce = try Randomness.bytes(32)
        let commitment = SHA256.digest(RegistrationTranscript.commitmentInput(nodeKey: nodeKey, nodeNonce: nonce))
        guard let commitment = Digest256(bytes: commitment) else { throw NodeError("no commitment can be made") }
        let client = try context.access().client()
        let reply = try client.register(
            RegistrationRequest(
                certificateRequest: try CertificateRequest.make(key: key, commonName: "apus-node"),
                commitment: commitment, token: trust.token, inventory: inventory,
                bootArtifactVersion: BootArtifact.version))
        guard let serverNonce = [UInt8](lowercaseHex: reply.serverNonce), serverNonce.count == 32 else {
            throw NodeError("the server's nonce is not 32 bytes in hexadecimal digits")
        }
        ClockFloor.raise(to: reply.clockSeconds, source: "server", log: context.log)
        let status = try client.reveal(RegistrationReveal(nodeNonce: nonce.lowercaseHex), of: reply)
        let transcript = RegistrationTranscript.codeInput(
            nodeKey: nodeKey, serverKey: serverKey, nodeNonce: nonce, serverNonce: serverNonce)
        guard let digest = Digest256(bytes: SHA256.digest(transcript)) else { throw NodeError("no code can be made") }
        code = RegistrationTranscript.code(from: digest)
        self.reply = reply
        self.status = status
        self.inventory = inventory
    }

    /// Polls until the server admits this machine; shows the challenge code while a person must act.
    public func waitForAdmission() throws -> NodeID {
        guard let reply, let inventory else { throw NodeError("not registered yet") }
        while true {
            if let status {
                if let certificate = status.certificate, let id = status.nodeID {
                    try admit(id, certificate: certificate, registration: reply)
                    return id
                }
                if status.state == .retired {
                    throw Refusal(
                        "the server does not admit this machine: "
                            + (status.reason.isEmpty ? "it is retired" : status.reason))
                }
                show(status)
            }
            let client = try context.access().client()
            do {
                // Short polls, so that the watchdog's keeper sees this program alive.
                status = try client.registration(reply, waitSeconds: 25)
                if status?.state == .new || status?.state == .approved { context.clock.wait(milliseconds: 1000) }
                context.clock.wait(milliseconds: 100)
            } catch FetchError.status(let code, _) where code == 401 || code == 403 || code == 404 || code == 410 {
                // The server forgot the registration, as after a restore: register again, with the same key.
                context.log.log("the server does not know this registration any more; registering again")
                try register(inventory)
                return try waitForAdmission()
            }
        }
    }

    /// Fetches the plan and verifies that the site's CA signed it.
    public func plan() throws -> ProvisioningPlan {
        let authority = try Certificate(pem: try context.caCertificate())
        let envelope = try context.access().client().planEnvelope()
        let plan = try ProvisioningPlan.verified(
            envelope: envelope, keys: [try ReleaseKey(p256: authority.publicKey)])
        ClockFloor.raise(to: plan.clockSeconds, source: "plan", log: context.log)
        return plan
    }

    private func show(_ status: RegistrationStatus) {
        let line = "\(status.state.rawValue) \(status.reason)"
        guard line != shown else { return }
        shown = line
        context.log.log("the server says: \(line)")
        if status.state == .pending {
            context.log.show(block: ConsoleText.challenge(code, reason: status.reason))
        }
    }

    /// Takes the certificate where the site's CA issued it for this machine's key.
    private func admit(_ id: NodeID, certificate: String, registration: RegistrationReply) throws {
        let authority = try Certificate(pem: try context.caCertificate())
        let own = try Certificate(pem: certificate)
        guard let key = context.key, own.publicKey == key.publicKey else {
            throw NodeError("the server's certificate for this node is for another key")
        }
        guard own.isSigned(by: authority) else {
            throw NodeError("the server's certificate for this node is not signed by the site's CA")
        }
        context.certificate = certificate
        let access = try context.access()
        context.identity = NodeIdentity(
            nodeID: id, registrationID: registration.registrationID, endpoint: access.endpoint)
        context.log.log("admitted as node \(id)")
        if context.sender == nil {
            let sender = try ReportSender(queue: context.log.queue, source: "init", access: access)
            context.sender = sender
            context.log.attach(sender)
        }
    }
}

/// The version of the boot artifact that runs.
public enum BootArtifact {
    /// The version of this source tree.
    public static let version = "0.1.0"
}
