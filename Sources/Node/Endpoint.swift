public import Contract

/// Where the provisioning endpoint was found.
public struct Endpoint: Sendable, Equatable {
    /// `https://host:port`, without a path.
    public var url: String
    /// Where it was found, for people.
    public var source: String

    /// The first usable address in the order of trust: kernel command line, `apus.json` on the boot medium, the boot
    /// artifact, DHCP option 224.
    ///
    /// Whom to believe at that address is not part of it: the CA comes from the artifact or the medium alone.
    /// - Throws: `NodeError` that says where an endpoint may be given, or which of those is malformed.
    public static func discover(
        commandLine: String?, medium: SiteTrust?, artifact: SiteTrust?, dhcp: String?
    ) throws(NodeError) -> Endpoint {
        let candidates: [(String?, String)] = [
            (commandLine, "kernel command line"),
            (medium?.endpoint, "apus.json on the boot medium"),
            (artifact?.endpoint, "boot artifact"),
            (dhcp, "DHCP option \(Lease.endpointOption)"),
        ]
        for (text, source) in candidates {
            guard let text, !text.isEmpty else { continue }
            return Endpoint(url: try checked(text, source: source), source: source)
        }
        throw NodeError(
            "no endpoint: give apus.endpoint=https://HOST:PORT on the kernel command line, `endpoint` in apus.json or "
                + "in the boot artifact, or DHCP option \(Lease.endpointOption)")
    }

    static func checked(_ text: String, source: String) throws(NodeError) -> String {
        var url = text
        while url.hasSuffix("/") { url.removeLast() }
        let rest = url.dropFirst("https://".count)
        guard url.hasPrefix("https://"), !rest.isEmpty, url.utf8.count <= 256, !rest.contains("/"),
            rest.utf8.allSatisfy(isHostByte)
        else {
            throw NodeError("the endpoint '\(text.prefix(256))' from the \(source) is not https://HOST:PORT")
        }
        return url
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"),
            UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Whom this machine believes: the site's facts from the boot medium over those of the boot artifact.
public enum TrustSources {
    /// Joins the facts of `apus.json` and of the artifact: a field that the medium gives stands, else the artifact's.
    ///
    /// Release keys and threshold go together, so that a medium cannot lower the threshold over the artifact's keys.
    /// - Throws: `NodeError` where neither gives a CA certificate or release keys.
    public static func join(medium: SiteTrust?, artifact: SiteTrust?) throws(NodeError) -> SiteTrust {
        guard var trust = medium ?? artifact else {
            throw NodeError(
                "this boot artifact has no /etc/apus/trust.json and no apus.json was found on the boot medium: make "
                    + "it with `apus boot-artifact`, which builds in the site's CA certificate and release keys")
        }
        if medium != nil, let artifact {
            trust.endpoint = trust.endpoint ?? artifact.endpoint
            trust.caCertificate = trust.caCertificate ?? artifact.caCertificate
            trust.token = trust.token ?? artifact.token
            trust.network = trust.network ?? artifact.network
            if trust.releaseKeys.isEmpty {
                trust.releaseKeys = artifact.releaseKeys
                trust.threshold = artifact.threshold
            }
            trust.clockFloorSeconds = max(trust.clockFloorSeconds, artifact.clockFloorSeconds)
        }
        guard trust.format == wireFormat else {
            throw NodeError("the site's trust has format \(trust.format), this program reads \(wireFormat)")
        }
        guard let certificate = trust.caCertificate, !certificate.isEmpty else {
            throw NodeError("no CA certificate: neither the boot artifact nor apus.json has `caCertificate`")
        }
        guard trust.threshold >= 1, trust.threshold <= trust.releaseKeys.count else {
            throw NodeError(
                "the threshold of \(trust.threshold) needs as many release keys, \(trust.releaseKeys.count) are given")
        }
        return trust
    }
}
