import Contract
import Cryptography
import Foundation
import Packing
import Release
import TestSupport
import Testing

/// Builds with the real programs and the real base, where they were made: `APUS_OUT`, or `.out` of this repository.
private let out =
    ProcessInfo.processInfo.environment["APUS_OUT"]
    ?? URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent(".out").path

private let hasBase = ["tools/ukify", "tools/mkfs.erofs", "base/vmlinuz", "base/initrd.zst", "base/uname"].allSatisfy {
    FileManager.default.fileExists(atPath: out + "/" + $0)
}

@Suite(.ownThreads, .enabled(if: hasBase, "make the base first: initramfs/build.sh")) struct BuildTests {
    static let trust = SiteTrust(
        endpoint: "https://apus.example:8443", caCertificate: nil, releaseKeys: [], threshold: 1, token: nil,
        network: nil, clockFloorSeconds: 1_794_475_820)

    static func builder(_ fixture: PackingFixture, version: String) throws -> ReleaseBuilder {
        let root = try fixture.makeFolder("root")
        for folder in ["usr/bin", "usr/lib/systemd", "etc"] { _ = try fixture.makeFolder("root/\(folder)") }
        _ = try fixture.write("root/usr/bin/tool", noise(300_001, seed: 9))
        _ = try fixture.write("root/etc/version", Array(version.utf8))
        let boot = BootArtifactBuilder(
            base: try BaseArtifacts(directory: out + "/base", architecture: .amd64),
            tools: BuildTools(directory: out + "/tools"), trust: trust, sourceDateSeconds: 1_794_475_820)
        var builder = ReleaseBuilder(
            root: .directory(root), boot: boot, identity: PackingFixture.identity(version),
            signingKeys: [.ed25519(fixture.key)])
        builder.level = 1
        builder.cacheDirectory = fixture.path("cache")
        return builder
    }

    @Test func aReleaseIsBuiltCheckedAndBuiltTheSameAgain() async throws {
        let fixture = try PackingFixture()
        let events = EventLog()
        let first = try await Self.builder(fixture, version: "1").build(output: fixture.path("one")) { events.add($0) }
        _ = try await Self.builder(fixture, version: "1").build(output: fixture.path("two")) { _ in }
        for file in ["manifest.json", "frames", "pack", "uki.efi", "boot.efi"] {
            #expect(try fixture.read("one/\(file)") == fixture.read("two/\(file)"), "\(file)")
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path)
        #expect(left.allSatisfy { !$0.contains(".part-") }, "intermediate files are gone")
        let ended = events.steps()
        #expect(ended.count == 7)
        // Kernel and base initramfs are sent once, though both images hold them.
        let shared = first.sizes[0].bytes + first.sizes[1].bytes
        let boot = try #require(first.sizes.first { $0.part == "boot artifact" })
        #expect(try #require(boot.transportBytes) < shared / 5, "\(first.sizes.table)")
        try checkCommandLines(fixture, first)
    }

    private func checkCommandLines(_ fixture: PackingFixture, _ release: BuiltRelease) throws {
        let uki = try section(".cmdline", of: try fixture.read("one/uki.efi"))
        let root = release.manifest.root
        #expect(uki.contains("apus.mode=slot apus.root=\(root.rootHash) apus.salt=\(root.salt.lowercaseHex)"))
        #expect(uki.contains("apus.blocks=\(root.blocks) apus.version=1"))
        let boot = try section(".cmdline", of: try fixture.read("one/boot.efi"))
        #expect(boot.contains("panic=10") && boot.contains("apus.mode=provision") && !boot.contains("apus.root"))
        #expect(uki.utf8.count == boot.utf8.count)
        let initrd = Array(try section(".initrd", of: try fixture.read("one/boot.efi"), limit: 1 << 20).utf8)
        #expect(initrd.count > 0)
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/sbverify"), "install sbsigntool"))
    func aSignedImageIsAcceptedByItsCertificateAlone() throws {
        let fixture = try PackingFixture()
        for name in ["own", "other"] {
            try run(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(name)", "-keyout",
                    fixture.path("\(name).key"), "-out", fixture.path("\(name).crt"),
                ])
        }
        var builder = try Self.builder(fixture, version: "1").boot
        builder.secureBoot = SecureBootKey(key: fixture.path("own.key"), certificate: fixture.path("own.crt"))
        let image = fixture.path("boot.efi")
        try builder.build(output: image)
        try run("/usr/bin/sbverify", ["--cert", fixture.path("own.crt"), image])
        #expect(!outcome(of: ["/usr/bin/sbverify", "--cert", fixture.path("other.crt"), image]).succeeded)
    }

    @Test func whatIsTooLargeOrThereAlreadyIsRefused() async throws {
        let fixture = try PackingFixture()
        var builder = try Self.builder(fixture, version: "1")
        builder.budget = ImageBudget(limitBytes: 1_000_000, aimBytes: 1)
        let heavy = builder
        await #expect(throws: PackingError.self) { try await heavy.build(output: fixture.path("one")) { _ in } }
        builder.budget = nil
        builder.layout.rootBytes = 4096
        let large = builder
        await #expect(throws: PackingError.self) { try await large.build(output: fixture.path("one")) { _ in } }
        #expect(!FileManager.default.fileExists(atPath: fixture.path("one")))
        _ = try fixture.makeFolder("one")
        let error = await #expect(throws: PackingError.self) {
            try await heavy.build(output: fixture.path("one")) { _ in }
        }
        #expect(error?.description.contains("exists already") == true)
    }

    @Test func aProgramThatFailsSaysWhy() throws {
        let fixture = try PackingFixture()
        var builder = try Self.builder(fixture, version: "1").boot
        builder.base.kernel = try fixture.write("kernel", [])
        builder.base.stub = fixture.path("no-stub")
        let broken = builder
        let error = #expect(throws: PackingError.self) { try broken.build(output: fixture.path("boot.efi")) }
        #expect(error?.description.contains("no-stub") == true, "\(String(describing: error))")
        builder.extraArguments = [String(repeating: "x", count: 2000)]
        let long = builder
        #expect(throws: PackingError.self) { try long.build(output: fixture.path("boot.efi")) }
    }

    /// The text of a section of a PE file (Microsoft PE format, "Section Table").
    private func section(_ name: String, of file: [UInt8], limit: Int = 1 << 16) throws -> String {
        func number(_ offset: Int, _ count: Int) -> Int {
            file[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        let header = number(0x3C, 4)
        let table = header + 24 + number(header + 20, 2)
        for index in 0..<number(header + 6, 2) {
            let entry = table + index * 40
            let label = String(decoding: file[entry..<entry + 8].prefix { $0 != 0 }, as: UTF8.self)
            guard label == name else { continue }
            let start = number(entry + 20, 4)
            return String(decoding: file[start..<start + min(limit, number(entry + 8, 4))], as: UTF8.self)
        }
        throw PackingError("there is no section \(name)")
    }
}

/// Collects a build's events.
private final class EventLog: @unchecked Sendable {
    // Unchecked because the lock guards the only state.
    private let lock = NSLock()
    private var events: [BuildEvent] = []

    func add(_ event: BuildEvent) { lock.withLock { events.append(event) } }

    func steps() -> [String] {
        lock.withLock {
            events.compactMap { event in
                guard case .finished(let step, _) = event else { return nil }
                return step
            }
        }
    }
}
