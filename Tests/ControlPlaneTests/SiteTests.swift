import Contract
import Cryptography
import Foundation
import HTTPTypes
import Logging
import Release
import Store
import Synchronization
import Testing

@testable import ControlPlane

/// The server's files, its life and its backups.
struct SiteTests {
    @Test func everythingSecretIsForItsOwnerOnly() async throws {
        try await TestSite.run { site in
            _ = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                _ = try await TestRelease(key: key).publish(caller)
            }
            let manager = FileManager.default
            let names = try manager.subpathsOfDirectory(atPath: site.directory.path)
            #expect(names.contains("ca.pem") && names.contains("apusd.sqlite-wal"))
            for name in [""] + names where name != "ca.crt" {
                let attributes = try manager.attributesOfItem(atPath: site.directory.path + "/" + name)
                let mode = try #require(attributes[.posixPermissions] as? Int)
                #expect(mode & 0o077 == 0, "\(name) has mode \(String(mode, radix: 8))")
            }
        }
    }

    @Test func identityStaysOverARestart() async throws {
        let scratch = try ScratchDirectory()
        let node = Mutex<AdmittedNode?>(nil)
        try await TestSite.run(in: scratch) { site in
            let made = try await AdmittedNode.make(site)
            node.withLock { $0 = made }
        }
        let made = try #require(node.withLock { $0 })
        try await TestSite.run(in: scratch) { site in
            _ = try await made.connect(site) { try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self) }
        }
    }

    @Test func twoServersNeverShareADirectory() async throws {
        try await TestSite.run { site in
            var options = ServerOptions(dataDirectory: site.directory.path)
            options.port = 0
            let problem = #expect(throws: ServerProblem.self) {
                try Server(options: options, logger: Logger(label: "test"))
            }
            #expect(problem?.description.contains("another apusd") == true)
        }
    }

    @Test func lostAuthorityIsNotReplaced() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { _ in }
        try FileManager.default.removeItem(atPath: scratch.path + "/data/ca.pem")
        let options = ServerOptions(dataDirectory: scratch.path + "/data")
        #expect(throws: ServerProblem.self) { try Server(options: options, logger: Logger(label: "test")) }
    }

    @Test func longPollsEndWhenTheServerStops() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await node.connect(site) { caller in
                let state = try await caller.exchange(.get, "/v1/node/desired", as: DesiredState.self)
                async let held = caller.exchange(
                    .get, "/v1/node/desired?after=\(state.generation)&waitSeconds=55", as: DesiredState.self)
                while site.signals.waiting == 0 { await Task.yield() }
                await site.stop()
                #expect(try await held == state)
            }
        }
    }

    @Test func secretsAreInNoLog() async throws {
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingHandler { line in lines.withLock { $0.append(line) } } }
        let secrets = Mutex<[String]>([])
        try await TestSite.run(logger: logger) { site in
            let token = try await site.administrator {
                try await $0.exchange(
                    .post, "/v1/tokens", TokenRequest(note: "", uses: 1, lifetimeSeconds: 60, labels: [:]),
                    as: TokenView.self)
            }
            let (reply, _) = try await site.anyone { try await TestNode().register($0, token: token.secret) }
            let join = try #require(token.secret)
            secrets.withLock { $0 = [site.adminToken, join, reply.secret, "PRIVATE KEY"] }
        }
        let all = lines.withLock { $0.joined(separator: "\n") }
        #expect(!all.isEmpty)
        for secret in secrets.withLock({ $0 }) { #expect(!all.contains(secret)) }
    }

    @Test func givenCertificateIsUsedAndTrusted() async throws {
        let scratch = try ScratchDirectory()
        let authority = try CertificateAuthority.create(
            name: "Company CA", notBeforeSeconds: Authority.notBeforeSeconds, notAfterSeconds: Authority.notAfterSeconds
        )
        let key = try P256PrivateKey()
        let certificate = try authority.issueServerCertificate(
            dnsNames: ["localhost"], ipAddresses: [], key: key.publicKey,
            notBeforeSeconds: Authority.notBeforeSeconds, notAfterSeconds: Authority.notAfterSeconds)
        let (chain, keyFile) = (scratch.path + "/chain.pem", scratch.path + "/key.pem")
        let chainText = try certificate.pem() + authority.certificate.pem()
        try chainText.write(toFile: chain, atomically: true, encoding: .utf8)
        try key.pem().write(toFile: keyFile, atomically: true, encoding: .utf8)
        let company = try authority.certificate.pem()
        try await TestSite.run(
            in: scratch,
            configure: {
                $0.certificateFile = chain
                $0.keyFile = keyFile
            }
        ) { site in
            // `ca.crt` is what an operator's client believes: with a certificate of others, their authority as well.
            let believed = try String(contentsOfFile: site.directory.authorityCertificate, encoding: .utf8)
            let trust = try await site.administrator { try await $0.exchange(.get, "/v1/trust", as: SiteTrust.self) }
            #expect(trust.caCertificate == believed)
            #expect(believed.hasSuffix(company))
            let own = try Certificate(pem: Authority.blocks(believed)[0])
            #expect(try own.pem() + company == believed, "the CA that signs plans comes first")
            try (try own.pem()).write(toFile: site.directory.authorityCertificate, atomically: true, encoding: .utf8)
            await #expect(throws: (any Error).self, "clients of the site's CA alone do not believe it") {
                try await site.anyone { _ = try await $0.send(.get, "/healthz") }
            }
        }
    }
}

/// Starts that cannot work: each ends with a sentence that says what to do.
struct StartTests {
    private func problem(_ configure: (inout ServerOptions) throws -> Void) async throws -> String? {
        let scratch = try ScratchDirectory()
        var options = ServerOptions(dataDirectory: scratch.path + "/data")
        options.address = "127.0.0.1"
        options.port = 0
        options.bootPort = nil
        try configure(&options)
        do {
            try await Server(options: options, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }).run()
            return nil
        } catch {
            return Problems.sentence(error)
        }
    }

    @Test func certificateAndKeyBelongTogether() async throws {
        let scratch = try ScratchDirectory()
        let authority = try CertificateAuthority.create(
            name: "CA", notBeforeSeconds: Authority.notBeforeSeconds, notAfterSeconds: Authority.notAfterSeconds)
        let certificate = scratch.path + "/certificate"
        let key = scratch.path + "/key"
        try authority.certificate.pem().write(toFile: certificate, atomically: true, encoding: .utf8)
        try P256PrivateKey().pem().write(toFile: key, atomically: true, encoding: .utf8)
        #expect(try await problem { $0.certificateFile = certificate }?.contains("--key belong together") == true)
        let mismatch = try await problem {
            $0.certificateFile = certificate
            $0.keyFile = key
        }
        #expect(mismatch?.contains("check --certificate and --key") == true)
        let missing = try await problem {
            $0.certificateFile = scratch.path + "/nothing"
            $0.keyFile = key
        }
        #expect(missing?.contains("there is no file") == true)
    }

    @Test func releaseKeyMustBeAPublicOne() async throws {
        let scratch = try ScratchDirectory()
        let file = scratch.path + "/key"
        try Ed25519PrivateKey().pem().write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try await problem { $0.releaseKeyFiles = [file] }?.contains("private key") == true)
        #expect(try await problem { $0.releaseKeyFiles = [file + "x"] }?.contains("there is no file") == true)
    }

    @Test func portInUseIsSaid() async throws {
        try await TestSite.run { site in
            let said = try await problem { $0.port = site.addresses.port }
            #expect(said?.contains("--port") == true)
        }
    }

    @Test func directoryThatCannotBeMadeIsSaid() async throws {
        #expect(try await problem { $0.dataDirectory = "/proc/apus" }?.contains("--data") == true)
    }
}

/// Hands each line that is logged, with its metadata, to a closure.
struct CollectingHandler: LogHandler {
    let collect: @Sendable (String) -> Void
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(_ collect: @escaping @Sendable (String) -> Void) { self.collect = collect }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        collect("\(event.message) \(metadata) \(event.metadata ?? [:])")
    }
}

struct BackupTests {
    @Test func backupOfARunningServerRestoresEverything() async throws {
        let scratch = try ScratchDirectory()
        let archive = scratch.path + "/backup.tar"
        let made = Mutex<(AdmittedNode, TestRelease)?>(nil)
        try await TestSite.run(in: scratch) { site in
            let node = try await AdmittedNode.make(site)
            let release = try await site.administrator { caller in
                let release = try TestRelease(key: try await TestRelease.trustedKey(caller))
                _ = try await release.publish(caller)
                return release
            }
            let summary = try Backup.write(dataDirectory: site.directory.path, to: archive)
            #expect(summary.files == 7)
            // What came after the backup is not in it.
            _ = try await AdmittedNode.make(site)
            made.withLock { $0 = (node, release) }
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: archive)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(throws: ServerProblem.self, "a restore never overwrites") {
            try Backup.restore(from: archive, dataDirectory: scratch.path + "/data")
        }
        try FileManager.default.moveItem(atPath: scratch.path + "/data", toPath: scratch.path + "/old")
        try Backup.restore(from: archive, dataDirectory: scratch.path + "/data")
        let (node, release) = try #require(made.withLock { $0 })
        try await TestSite.run(in: scratch) { site in
            try await node.connect(site) { caller in
                let pack = try await caller.send(.get, "/v1/releases/\(release.name)/pack").bytes
                #expect(pack == release.pack)
            }
            let nodes = try await site.administrator { try await $0.exchange(.get, "/v1/nodes", as: NodeList.self) }
            #expect(nodes.nodes.map(\.id) == [node.id])
        }
    }

    @Test func damagedBackupIsRefusedAndLeavesNothing() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { _ in }
        let archive = scratch.path + "/backup.tar"
        _ = try Backup.write(dataDirectory: scratch.path + "/data", to: archive)
        #expect(throws: ServerProblem.self, "an existing file stays") {
            try Backup.write(dataDirectory: scratch.path + "/data", to: archive)
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: archive))
        var flipped = whole
        flipped[2000] ^= 1
        var renamed = whole
        renamed.replaceSubrange(0..<12, with: Data("../../passwd".utf8))
        let target = scratch.path + "/restored"
        for damaged in [flipped, renamed, whole.prefix(whole.count / 2), whole.prefix(whole.count - 2000), Data()] {
            let path = scratch.path + "/damaged.tar"
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(throws: (any Error).self) { try Backup.restore(from: path, dataDirectory: target) }
            #expect(!FileManager.default.fileExists(atPath: target))
            #expect(!FileManager.default.fileExists(atPath: target + ".restoring"))
        }
        try Backup.restore(from: archive, dataDirectory: target)
        #expect(FileManager.default.fileExists(atPath: target + "/apusd.sqlite"))
    }
}
