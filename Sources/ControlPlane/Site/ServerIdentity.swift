import Cryptography
import Foundation
import NIOCore
import NIOSSL

/// The server's own certificate chain and key, and whom clients must believe to accept it.
struct ServerIdentity: Sendable {
    /// The chain in PEM, the server's own certificate first.
    let chain: String
    /// The private key in PEM.
    let key: Redacted<String>
    /// What boot artifacts carry: the site's CA first, which signs plans, then the authority of a given certificate.
    let trust: String

    /// Issues a certificate by the site's CA for all names of this machine, or takes the given one.
    init(options: ServerOptions, authority: Authority) throws {
        let own = try authority.issuer.certificate.pem()
        guard let certificateFile = options.certificateFile, let keyFile = options.keyFile else {
            guard options.certificateFile == nil, options.keyFile == nil else {
                throw ServerProblem("--certificate and --key belong together: give both, or neither")
            }
            let names = Self.localNames() + options.names
            let key = try P256PrivateKey()
            let certificate = try authority.issuer.issueServerCertificate(
                dnsNames: Self.unique(names.filter { !Self.isAddress($0) }),
                ipAddresses: Self.unique(names.filter(Self.isAddress)), key: key.publicKey,
                notBeforeSeconds: Authority.notBeforeSeconds, notAfterSeconds: Authority.notAfterSeconds)
            chain = try certificate.pem() + own
            self.key = Redacted(try key.pem())
            trust = own
            return
        }
        chain = try Self.text(of: certificateFile)
        key = Redacted(try Self.text(of: keyFile))
        // Without a named authority, the chain's last certificate has to be it.
        let given = try options.authorityFile.map(Self.text) ?? Authority.blocks(chain).last ?? ""
        guard given.contains("BEGIN CERTIFICATE") else {
            throw ServerProblem("'\(options.authorityFile ?? certificateFile)' has no certificate in PEM")
        }
        trust = given == own ? own : own + given
    }

    /// TLS that asks a client for a certificate without demanding one, and takes only one of the site's CA.
    func tlsConfiguration(authority: Authority) throws -> TLSConfiguration {
        let certificates = try NIOSSLCertificate.fromPEMBytes(Array(chain.utf8))
        let privateKey = try NIOSSLPrivateKey(bytes: Array(key.value.utf8), format: .pem)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        tls.minimumTLSVersion = .tlsv12
        tls.certificateVerification = .optionalVerification
        tls.trustRoots = .certificates([
            try NIOSSLCertificate(bytes: authority.issuer.certificate.der, format: .der)
        ])
        tls.sendCANameList = true
        tls.applicationProtocols = ["http/1.1"]
        return tls
    }

    /// The machine's names and addresses, loopback included.
    static func localNames() -> [String] {
        var buffer = [CChar](repeating: 0, count: 256)
        var names = ["localhost", "127.0.0.1", "::1"]
        if gethostname(&buffer, buffer.count - 1) == 0 {
            let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if isHostName(host) { names.append(host.lowercased()) }
        }
        return names + localAddresses()
    }

    /// The machine's addresses that others can reach; those of one link alone are left out.
    static func localAddresses() -> [String] {
        let devices = (try? System.enumerateDevices()) ?? []
        let addresses = devices.compactMap { $0.address?.ipAddress }
        let usable = addresses.filter {
            !$0.contains("%") && !$0.hasPrefix("fe80") && !$0.hasPrefix("127.") && $0 != "::1"
        }
        return unique(Array(usable.prefix(64)))
    }

    /// Whether a text is an IPv4 or IPv6 address.
    static func isAddress(_ text: String) -> Bool { (try? SocketAddress(ipAddress: text, port: 0)) != nil }

    private static func isHostName(_ text: String) -> Bool {
        !text.isEmpty
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy { byte in
                        switch byte | 0x20 {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"): true
                        default: (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
                        }
                    }
            }
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private static func text(of path: String) throws -> String {
        guard let bytes = try DurableFile.read(path, limit: 256 << 10) else {
            throw ServerProblem("there is no file '\(path)'")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
