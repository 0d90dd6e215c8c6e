public import Contract
internal import Cryptography
public import Decisions
internal import Fetch

/// What `apus-init` has learnt so far in this boot; its effects share it.
public final class EarlyContext {
    /// Consoles and reports.
    public let log: NodeLog
    /// Time.
    public let clock: NodeClock
    /// The kernel's command line.
    public let arguments: KernelArguments
    /// The site's facts that are built into the boot artifact.
    public var artifactTrust: SiteTrust?
    /// Those of `apus.json` on the boot medium.
    public var mediumTrust: SiteTrust?
    /// Why those of the medium or of the artifact could not be read.
    var trustProblem: NodeError?
    private var hasReadTrust = false

    /// The partition that the firmware loaded this program from (`StubDevicePartUUID`).
    public var bootPartition: Decisions.GUID?
    /// What the agent passes on to the server about this start.
    public var events: () -> [NodeEvent] = { [] }
    /// Feeds the watchdog, where the machine has one.
    public var keeper: WatchdogKeeper?

    /// The network that is up.
    var network: NetworkSetup.Active?
    /// The server's address.
    var endpoint: Endpoint?
    /// The node's key: found on the disk, or new.
    var key: P256PrivateKey?
    /// The node's certificate chain in PEM.
    var certificate: String?
    /// Who the node is, once admitted.
    var identity: NodeIdentity?
    /// Sends reports, once admitted.
    var sender: ReportSender?

    /// Starts with what the kernel says.
    public init(log: NodeLog, clock: NodeClock, arguments: KernelArguments) {
        self.log = log
        self.clock = clock
        self.arguments = arguments
    }

    /// Whom this machine believes; artifact and medium are read at the first call.
    /// - Throws: `NodeError` where neither artifact nor medium says, or what they say cannot be used.
    func trust() throws -> SiteTrust {
        if !hasReadTrust {
            hasReadTrust = true
            do {
                artifactTrust = try SiteTrustFile.read(NodeMachine.artifactTrustPath)
                mediumTrust = try BootMedium.trust(onPartition: bootPartition)
            } catch {
                trustProblem = error as? NodeError ?? NodeError("\(error)")
            }
        }
        if let trustProblem { throw trustProblem }
        return try TrustSources.join(medium: mediumTrust, artifact: artifactTrust)
    }

    /// What a machine that was told of its site by `apus.json` needs again when it recovers; without the join token, as
    /// the node's key is its way in then. Nil where the artifact says all.
    func recoveryTrust() -> SiteTrust? {
        guard mediumTrust != nil, var trust = try? trust() else { return nil }
        trust.token = nil
        trust.network = network?.settings ?? trust.network
        return trust
    }

    /// The CA's certificate in PEM.
    func caCertificate() throws -> String {
        guard let pem = try trust().caCertificate else { throw NodeError("no CA certificate is known") }
        return pem
    }

    /// The way to the server, as the node once it is admitted.
    func access() throws -> ServerAccess {
        guard let endpoint else { throw NodeError("the server's address is not known yet") }
        var identity: ClientIdentity?
        if let certificate, let key { identity = ClientIdentity(certificatePEM: certificate, keyPEM: try key.pem()) }
        return ServerAccess(
            endpoint: endpoint.url, caCertificate: try caCertificate(), identity: identity,
            proxy: network?.settings.proxy)
    }
}
