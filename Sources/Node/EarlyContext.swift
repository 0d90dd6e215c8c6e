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
    /// Network settings found on the state partition: those that worked before.
    public var formerNetwork: NetworkSettings?
    /// The site's facts found on the state partition: those that this node was provisioned with.
    public var formerTrust: SiteTrust?

    /// The partition that the firmware loaded this program from (`StubDevicePartUUID`).
    public var bootPartition: Decisions.GUID?
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

    /// Whom this machine believes.
    /// - Throws: `NodeError` where neither artifact nor medium says.
    func trust() throws -> SiteTrust {
        try TrustSources.join(medium: mediumTrust, artifact: artifactTrust ?? (mediumTrust == nil ? formerTrust : nil))
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
