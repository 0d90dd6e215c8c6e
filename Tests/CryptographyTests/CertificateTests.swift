import Cryptography
import Foundation
import TestSupport
import Testing

@Suite struct CertificateTests {
    static let start: Int64 = 1_577_836_800  // 2020-01-01
    static let end: Int64 = 4_102_444_800  // 2100-01-01

    static func authority() throws -> CertificateAuthority {
        try CertificateAuthority.create(name: "Apus test CA", notBeforeSeconds: start, notAfterSeconds: end)
    }

    @Test func openSSLAcceptsAServerCertificate() throws {
        let tool = try OpenSSLTool()
        let authority = try Self.authority()
        let certificate = try authority.issueServerCertificate(
            dnsNames: ["apus.example", "*.lab.example"], ipAddresses: ["192.0.2.1", "2001:db8::1"],
            key: try P256PrivateKey().publicKey, notBeforeSeconds: Self.start, notAfterSeconds: Self.end)
        try tool.write("ca.pem", try authority.certificate.pem())
        try tool.write("leaf.pem", try certificate.pem())
        func verify(_ more: String...) -> Bool {
            let arguments = ["-x509_strict", "-CAfile", "ca.pem"] + more + ["leaf.pem"]
            return tool.run(["verify"] + arguments).succeeded
        }
        #expect(verify("-purpose", "sslserver", "-verify_hostname", "apus.example"))
        #expect(verify("-purpose", "sslserver", "-verify_ip", "192.0.2.1", "-attime", "1577836801"))
        #expect(verify("-purpose", "sslserver", "-verify_ip", "2001:db8::1", "-attime", "4102444799"))
        #expect(!verify("-purpose", "sslserver", "-verify_hostname", "other.example"))
        #expect(!verify("-purpose", "sslclient"))
        #expect(certificate.covers(host: "apus.example") && certificate.covers(host: "a.lab.example"))
        #expect(certificate.covers(host: "2001:db8::1") && !certificate.covers(host: "192.0.2.2"))
        #expect(certificate.isForServers && !certificate.isForClients && !certificate.isAuthority)
    }

    @Test func aNodeGetsTheNameThatTheServerChose() throws {
        let tool = try OpenSSLTool()
        let authority = try Self.authority()
        let key = try P256PrivateKey()
        let pem = try CertificateRequest.make(key: key, commonName: "administrator")
        try tool.write("request.pem", pem)
        #expect(tool.run("req", "-verify", "-noout", "-in", "request.pem").succeeded)
        let request = try CertificateRequest(pem: pem)
        #expect(request.publicKey == key.publicKey)
        #expect(request.commonName == "administrator")
        let certificate = try authority.issueNodeCertificate(
            request: request, nodeID: "01hzy3v7k2m4n6p8q0r2s4t6v8", notBeforeSeconds: Self.start,
            notAfterSeconds: Self.end)
        #expect(certificate.subjectCommonName == "01hzy3v7k2m4n6p8q0r2s4t6v8")
        #expect(certificate.spkiDigest == key.publicKey.spkiDigest)
        #expect(certificate.isForClients && !certificate.isForServers && !certificate.isAuthority)
        try tool.write("ca.pem", try authority.certificate.pem())
        try tool.write("leaf.pem", try certificate.pem())
        #expect(tool.run("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "leaf.pem").succeeded)
    }

    @Test func validityIsWhatWasAskedFor() throws {
        let certificate = try Self.authority().certificate
        #expect(certificate.notBeforeSeconds == Self.start && certificate.notAfterSeconds == Self.end)
        #expect(certificate.isValid(atSeconds: Self.start) && certificate.isValid(atSeconds: Self.end))
        #expect(!certificate.isValid(atSeconds: Self.start - 1) && !certificate.isValid(atSeconds: Self.end + 1))
        #expect(certificate.isAuthority)
        #expect(throws: CryptographyError.self) {
            try CertificateAuthority.create(name: "x", notBeforeSeconds: 10, notAfterSeconds: 10)
        }
    }

    @Test func onlyTheIssuersSignatureCounts() throws {
        let authority = try Self.authority()
        // The same name with another key: the name alone must not do.
        let impostor = try Self.authority()
        let request = try CertificateRequest(
            pem: try CertificateRequest.make(key: try P256PrivateKey(), commonName: "node"))
        let certificate = try authority.issueNodeCertificate(
            request: request, nodeID: "node", notBeforeSeconds: Self.start, notAfterSeconds: Self.end)
        #expect(certificate.isSigned(by: authority.certificate))
        #expect(!certificate.isSigned(by: impostor.certificate))
        #expect(authority.certificate.isSigned(by: authority.certificate))
        let copy = try Certificate(der: certificate.der)
        #expect(copy.isSigned(by: authority.certificate))
        #expect(try Certificate(pem: try certificate.pem()).der == certificate.der)
    }

    @Test func serialNumbersDiffer() throws {
        let tool = try OpenSSLTool()
        var serials: Set<String> = []
        for _ in 0..<4 {
            try tool.write("ca.pem", try Self.authority().certificate.pem())
            let serial = tool.run("x509", "-noout", "-serial", "-in", "ca.pem").output
            #expect(serial.count == "serial=".count + 32 + 1)
            serials.insert(serial)
        }
        #expect(serials.count == 4)
    }

    @Test func anAuthorityIsLoadedOnlyWithItsOwnKey() throws {
        let authority = try Self.authority()
        let pem = try authority.certificate.pem()
        let again = try CertificateAuthority(certificatePEM: pem, keyPEM: try authority.key.pem())
        #expect(again.certificate.der == authority.certificate.der)
        #expect(throws: CryptographyError.self) {
            try CertificateAuthority(certificatePEM: pem, keyPEM: try P256PrivateKey().pem())
        }
        let key = try P256PrivateKey()
        let leaf = try authority.issueServerCertificate(
            dnsNames: ["leaf"], ipAddresses: [], key: key.publicKey, notBeforeSeconds: Self.start,
            notAfterSeconds: Self.end)
        #expect(throws: CryptographyError.self) {
            try CertificateAuthority(certificatePEM: try leaf.pem(), keyPEM: try key.pem())
        }
    }

    @Test(arguments: ["", "a,DNS:evil.example", "a b", "-a", "a..b", "a\nb", "*", "ä.example"])
    func namesCannotSmuggleOthersIn(name: String) throws {
        let key = try P256PrivateKey().publicKey
        let authority = try Self.authority()
        #expect(throws: CryptographyError.self) {
            try authority.issueServerCertificate(
                dnsNames: [name], ipAddresses: [], key: key, notBeforeSeconds: Self.start, notAfterSeconds: Self.end)
        }
        #expect(throws: CryptographyError.self) {
            try authority.issueServerCertificate(
                dnsNames: [], ipAddresses: [name], key: key, notBeforeSeconds: Self.start, notAfterSeconds: Self.end)
        }
    }

    @Test func aRequestWithoutItsPrivateKeyIsRefused() throws {
        let pem = try CertificateRequest.make(key: try P256PrivateKey(), commonName: "node")
        let body = pem.split(separator: "\n").dropFirst().dropLast().joined()
        let der = Array(try #require(Data(base64Encoded: body)))
        func isAccepted(_ bytes: [UInt8]) -> Bool {
            let text = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
            let pem = "-----BEGIN CERTIFICATE REQUEST-----\n\(text)\n-----END CERTIFICATE REQUEST-----\n"
            return (try? CertificateRequest(pem: pem)) != nil
        }
        #expect(isAccepted(der))
        for index in der.indices {
            #expect(!isAccepted(Array(der.prefix(index))))
            var changed = der
            changed[index] ^= 0x41
            #expect(!isAccepted(changed), "a change at byte \(index)")
        }
    }

    @Test func requestsWithOtherKeysOrTooManyBytesAreRefused() throws {
        let tool = try OpenSSLTool()
        let made = tool.run(
            "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.pem", "-subj", "/CN=x", "-out", "rsa.csr")
        #expect(made.succeeded)
        #expect(throws: CryptographyError.self) { try CertificateRequest(pem: try tool.text("rsa.csr")) }
        #expect(throws: CryptographyError.self) { try CertificateRequest(pem: String(repeating: "A", count: 1 << 17)) }
        #expect(throws: CryptographyError.self) {
            try CertificateRequest.make(key: try P256PrivateKey(), commonName: "")
        }
        #expect(throws: CryptographyError.self) {
            try CertificateRequest.make(key: try P256PrivateKey(), commonName: String(repeating: "x", count: 65))
        }
    }

    @Test func truncatedAndChangedCertificatesAreRefusedOrUnsigned() throws {
        let authority = try Self.authority()
        let der = authority.certificate.der
        for index in der.indices {
            #expect((try? Certificate(der: Array(der.prefix(index)))) == nil)
            var changed = der
            changed[index] ^= 0x41
            if let certificate = try? Certificate(der: changed) {
                #expect(!certificate.isSigned(by: authority.certificate), "a change at byte \(index)")
            }
        }
        #expect(throws: CryptographyError.self) { try Certificate(der: der + [0]) }
    }
}
