internal import COpenSSL

/// A site's certificate authority: one P-256 key and its self-signed certificate.
public struct CertificateAuthority: Sendable {
    /// Its certificate, which boot artifacts carry.
    public let certificate: Certificate
    /// Its private key, which also signs plans.
    public let key: P256PrivateKey

    /// Creates an authority with a new key.
    ///
    /// - Parameters:
    ///   - name: its common name, 1 to 64 characters.
    ///   - notBeforeSeconds: start of its validity in seconds since 1970. Nodes may only know a floor of the time,
    ///     so it lies well in the past.
    ///   - notAfterSeconds: end of its validity in seconds since 1970.
    public static func create(
        name: String, notBeforeSeconds: Int64, notAfterSeconds: Int64
    ) throws(CryptographyError) -> CertificateAuthority {
        let key = try P256PrivateKey()
        var draft = try CertificateDraft(
            commonName: name, key: key.publicKey, notBeforeSeconds: notBeforeSeconds, notAfterSeconds: notAfterSeconds)
        try draft.setIssuer(nil)
        try draft.add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
        try draft.add(NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature")
        return CertificateAuthority(certificate: try draft.sign(with: key), key: key)
    }

    /// Takes an authority whose certificate and key were kept in PEM.
    public init(certificatePEM: String, keyPEM: String) throws(CryptographyError) {
        let certificate = try Certificate(pem: certificatePEM)
        let key = try P256PrivateKey(pem: keyPEM)
        guard certificate.publicKey == key.publicKey else {
            throw CryptographyError("the CA's certificate and its private key do not belong together")
        }
        guard certificate.isAuthority else { throw CryptographyError("the certificate is not one of an authority") }
        self.init(certificate: certificate, key: key)
    }

    private init(certificate: Certificate, key: P256PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// Issues a certificate for a TLS server.
    ///
    /// - Parameters:
    ///   - dnsNames: host names; a leading `*.` is accepted.
    ///   - ipAddresses: IPv4 and IPv6 addresses as text. One name or address at least.
    ///   - key: the server's public key.
    ///   - notBeforeSeconds: start of its validity in seconds since 1970.
    ///   - notAfterSeconds: end of its validity in seconds since 1970.
    public func issueServerCertificate(
        dnsNames: [String], ipAddresses: [String], key: PublicKey, notBeforeSeconds: Int64, notAfterSeconds: Int64
    ) throws(CryptographyError) -> Certificate {
        guard !(dnsNames + ipAddresses).isEmpty, dnsNames.count + ipAddresses.count <= 256 else {
            throw CryptographyError("a server certificate needs 1 to 256 names or addresses")
        }
        for name in dnsNames where !Self.isHostName(name) {
            throw CryptographyError("'\(name.prefix(64))' is not a host name")
        }
        for address in ipAddresses where !Self.looksLikeAddress(address) {
            throw CryptographyError("'\(address.prefix(64))' is not an IP address")
        }
        let first = dnsNames.first ?? ipAddresses.first ?? ""
        var draft = try CertificateDraft(
            commonName: first.utf8.count <= 64 ? first : "server", key: key, notBeforeSeconds: notBeforeSeconds,
            notAfterSeconds: notAfterSeconds)
        try addLeafExtensions(to: &draft, usage: "serverAuth")
        let names = dnsNames.map { "DNS:\($0)" } + ipAddresses.map { "IP:\($0)" }
        try draft.add(NID_subject_alt_name, names.joined(separator: ","))
        return try draft.sign(with: self.key)
    }

    /// Issues a node's certificate: for TLS clients, with the node's id as its common name and nothing else of what
    /// the request asked for.
    public func issueNodeCertificate(
        request: CertificateRequest, nodeID: String, notBeforeSeconds: Int64, notAfterSeconds: Int64
    ) throws(CryptographyError) -> Certificate {
        var draft = try CertificateDraft(
            commonName: nodeID, key: request.publicKey, notBeforeSeconds: notBeforeSeconds,
            notAfterSeconds: notAfterSeconds)
        try addLeafExtensions(to: &draft, usage: "clientAuth")
        return try draft.sign(with: key)
    }

    private func addLeafExtensions(to draft: inout CertificateDraft, usage: String) throws(CryptographyError) {
        try draft.setIssuer(certificate)
        try draft.add(NID_basic_constraints, "critical,CA:FALSE")
        try draft.add(NID_key_usage, "critical,digitalSignature")
        try draft.add(NID_ext_key_usage, usage)
        try draft.add(NID_authority_key_identifier, "keyid:always")
    }

    /// Names are put into OpenSSL's extension syntax, where commas and colons have a meaning: only these pass.
    private static func isHostName(_ text: String) -> Bool {
        let labels = (text.hasPrefix("*.") ? text.dropFirst(2) : text[...]).split(
            separator: ".", omittingEmptySubsequences: false)
        return text.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.utf8.first != UInt8(ascii: "-")
                    && label.utf8.allSatisfy(isHostNameByte)
            }
    }

    private static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func looksLikeAddress(_ text: String) -> Bool {
        (2...45).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") || (0x30...0x39).contains(byte)
                    || (0x61...0x66).contains(byte) || (0x41...0x46).contains(byte)
            }
    }
}
