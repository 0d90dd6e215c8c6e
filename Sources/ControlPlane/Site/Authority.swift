import Contract
import Cryptography
import Foundation

/// The site's certificate authority and the lifetimes of what it issues.
struct Authority: Sendable {
    /// The authority.
    let issuer: CertificateAuthority

    /// 2020-01-01: a machine whose clock was set back to the time of its build can still use the certificates.
    static let notBeforeSeconds: Int64 = 1_577_836_800
    /// 2099-12-31: expiry would lock nodes out that nobody can reach; a node is shut out by retiring it.
    static let notAfterSeconds: Int64 = 4_102_358_400

    /// Loads the authority of a data directory, creating it on first start.
    ///
    /// Key and certificate are one file, so that a power cut never leaves one without the other.
    init(in directory: DataDirectory) throws {
        if let bytes = try DurableFile.read(directory.authority, limit: 64 << 10) {
            guard chmod(directory.authority, 0o600) == 0 else {
                throw DurableFile.failure("protect", directory.authority)
            }
            let blocks = Self.blocks(String(decoding: bytes, as: UTF8.self))
            guard let key = blocks.first(where: { $0.contains("PRIVATE KEY") }),
                let certificate = blocks.first(where: { $0.contains("BEGIN CERTIFICATE") })
            else {
                throw ServerProblem("'\(directory.authority)' is not a key and a certificate; restore it from a backup")
            }
            issuer = try CertificateAuthority(certificatePEM: certificate, keyPEM: key)
        } else {
            guard !FileManager.default.fileExists(atPath: directory.database) else {
                throw ServerProblem(
                    "'\(directory.authority)' is missing beside an existing database: its nodes believe that authority "
                        + "alone; restore it from a backup")
            }
            issuer = try CertificateAuthority.create(
                name: "Apus site CA " + (try Secrets.word(characters: 8)), notBeforeSeconds: Self.notBeforeSeconds,
                notAfterSeconds: Self.notAfterSeconds)
            let text = try issuer.key.pem() + issuer.certificate.pem()
            try DurableFile.write(text.utf8, to: directory.authority)
        }
    }

    /// SHA-256 of the authority's public key, which registrations' challenge codes include.
    var keyDigest: Digest256 {
        get throws { try Secrets.digest(issuer.certificate.spkiDigest) }
    }

    /// Issues a node's certificate and returns it with its authority's, in PEM.
    func issue(certificateRequest: String, node: NodeID) throws -> String {
        let request = try CertificateRequest(pem: certificateRequest)
        let certificate = try issuer.issueNodeCertificate(
            request: request, nodeID: node.rawValue, notBeforeSeconds: Self.notBeforeSeconds,
            notAfterSeconds: Self.notAfterSeconds)
        return try certificate.pem() + issuer.certificate.pem()
    }

    /// The blocks of a PEM text, each with its markers.
    static func blocks(_ text: String) -> [String] {
        var blocks: [String] = []
        var open: [Substring] = []
        for line in text.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("-----BEGIN ") { open = [] }
            open.append(line)
            guard line.hasPrefix("-----END ") else { continue }
            blocks.append(open.joined(separator: "\n") + "\n")
            open = []
        }
        return blocks
    }
}
