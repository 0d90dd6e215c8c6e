import Cryptography
import Fetch
import Foundation
import Testing

/// Nothing but the given CA is believed, and a refusal says why.
@Suite struct TrustTests {
    private func failure(_ server: TestServer, ca: CertificateAuthority? = nil) throws -> FetchError? {
        let client = try HTTPClient(server.configuration(ca: ca))
        return #expect(throws: FetchError.self) { try client.request("GET", server.base + "/whole") }
    }

    private func isUntrusted(_ error: FetchError?, _ expected: TrustFailure) -> Bool {
        if case .untrusted(let found, _) = error { found == expected } else { false }
    }

    @Test func aServerOfTheGivenAuthorityIsBelieved() throws {
        let server = try TestServer()
        #expect(try server.client().request("GET", server.base + "/whole").body == TestServer.payload)
    }

    @Test func anotherAuthorityIsNamedAsTheReason() throws {
        let other = try CertificateAuthority.create(
            name: "test", notBeforeSeconds: TestServer.start, notAfterSeconds: TestServer.end)
        #expect(isUntrusted(try failure(TestServer(), ca: other), .wrongAuthority))
    }

    @Test func anExpiredCertificateIsNamedAsTheReason() throws {
        #expect(isUntrusted(try failure(TestServer(.expired)), .expired))
    }

    @Test func aCertificateOfTheFutureIsNamedAsTheReason() throws {
        #expect(isUntrusted(try failure(TestServer(.notYetValid)), .notYetValid))
    }

    @Test func anotherNameIsNamedAsTheReason() throws {
        #expect(isUntrusted(try failure(TestServer(.wrongName)), .wrongName))
    }

    @Test func aClientCertificateIsShown() throws {
        let server = try TestServer()
        let key = try P256PrivateKey()
        let request = try CertificateRequest(pem: CertificateRequest.make(key: key, commonName: "node"))
        let certificate = try server.authority.issueNodeCertificate(
            request: request, nodeID: "node-7", notBeforeSeconds: TestServer.start,
            notAfterSeconds: TestServer.end)
        let identity = ClientIdentity(certificatePEM: try certificate.pem(), keyPEM: try key.pem())
        let client = try HTTPClient(server.configuration(identity: identity))
        let told = try client.request("GET", server.base + "/client").body
        #expect(String(decoding: told, as: UTF8.self).contains("node-7"))
        #expect(try server.client().request("GET", server.base + "/client").body == Array("[]".utf8))
    }

    @Test(arguments: ["http://127.0.0.1:1/", "file:///etc/passwd", "https://127.0.0.1:1/a b", "ftp://127.0.0.1/"])
    func addressesThatAreNotPlainHTTPSAreRefused(url: String) throws {
        let authority = try CertificateAuthority.create(name: "x", notBeforeSeconds: 1, notAfterSeconds: 4_000_000_000)
        let client = try HTTPClient(HTTPConfiguration(caCertificates: authority.certificate.pem()))
        let error = #expect(throws: FetchError.self) { try client.request("GET", url) }
        guard case .invalid = error else { return #expect(Bool(false), "\(String(describing: error))") }
    }

    @Test func withoutAnAuthorityNothingIsBelieved() throws {
        let server = try TestServer()
        let client = try HTTPClient(HTTPConfiguration(caCertificates: ""))
        #expect(throws: FetchError.self) { try client.request("GET", server.base + "/whole") }
        let junk = try HTTPClient(HTTPConfiguration(caCertificates: "junk"))
        #expect(throws: FetchError.self) { try junk.request("GET", server.base + "/whole") }
    }
}
