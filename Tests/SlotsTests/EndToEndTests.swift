import Contract
import Cryptography
import Decisions
import Fetch
import Foundation
import Linux
import Packing
import Release
import Slots
import TestSupport
import Testing

/// A release made by the builder's code arrives over a real connection that keeps breaking.
@Suite(.ownThreads) struct EndToEndTests {
    let folder: Scratch
    init() throws { folder = try Scratch() }

    /// Serves one file with byte ranges and hangs up after each 400 kB.
    private static let server = #"""
        import http.server, sys
        payload = open(sys.argv[1], "rb").read()
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def do_GET(self):
                first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
                body = payload[first:last + 1]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(payload)}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:400_000])
                self.close_connection = len(body) > 400_000
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """#

    private func pack(_ root: [UInt8], _ name: String) async throws -> (Manifest, FrameTable, String) {
        let directory = folder.path + "/" + name
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        func file(_ name: String, _ bytes: [UInt8]) throws -> String {
            try Data(bytes).write(to: URL(fileURLWithPath: directory + "/" + name))
            return directory + "/" + name
        }
        var builder = try VerityBuilder(dataBlocks: UInt64(root.count / 4096), salt: TinyRelease.salt)
        try root.withUnsafeBytes { try builder.append($0) }
        let tree = try builder.finish()
        let line =
            "apus.mode=slot apus.root=\(tree.rootHash) apus.salt=\(TinyRelease.salt.lowercaseHex) "
            + "apus.blocks=\(root.count / 4096) apus.version=\(name)"
        let kernel = (".linux", noise(3 << 20, seed: 9))
        let key = SigningKey.ed25519(try Ed25519PrivateKey())
        let packer = ReleasePacker(
            identity: ReleaseIdentity(
                product: "test", releaseVersion: name, architecture: .amd64, expiresSeconds: 4_000_000_000),
            signingKeys: [key], level: 1)
        _ = try await packer.pack(
            root: try file("root", root), tree: tree,
            uki: try file("uki", kernelImage([kernel, (".cmdline", Array(line.utf8))])),
            boot: try file("boot", kernelImage([kernel, (".cmdline", Array("apus.mode=provision".utf8))])),
            into: directory)
        func read(_ name: String) throws -> [UInt8] {
            Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name)))
        }
        let manifest = try Manifest.verified(
            envelope: read("manifest.json"), keys: [key.releaseKey()], threshold: 1)
        return (manifest, try FrameTable.verified(read("frames"), manifest: manifest), directory + "/pack")
    }

    private func serve(_ file: String) throws -> (serving: ServingProgram, url: String) {
        let serving = try ServingProgram("/usr/bin/python3", ["-c", Self.server, file])
        return (serving, "http://127.0.0.1:\(try #require(serving.ports.first))/pack")
    }

    private func writer(_ release: (Manifest, FrameTable, String), _ url: String) throws -> SlotWriter {
        let configuration = HTTPConfiguration(caCertificates: "", allowsPlainHTTP: true)
        let backoff = Backoff(firstMilliseconds: 1, longestMilliseconds: 2)
        return try SlotWriter(
            manifest: release.0, table: release.1,
            source: HTTPPackSource(configuration, url: url, backoff: backoff))
    }

    @Test func aPackedReleaseIsInstalledAndUpgraded() async throws {
        let text = Array(String(repeating: "Hardware is unpacked, cabled and switched on. ", count: 30_000).utf8)
        let old = noise(4 << 20, seed: 1) + text.prefix(1 << 20)
        var new = old
        new.replaceSubrange((2 << 20)..<(2 << 20) + 100_000, with: noise(100_000, seed: 2))
        let first = try await pack(old, "1")
        let second = try await pack(new, "2")
        let slots = try ["a", "b"].map { try slot(folder, $0, rootBytes: 8 << 20) }
        let boots = try ["boot-a", "boot-b", "recovery"].map { try folder.device($0, 40 << 20) }

        let server = try serve(first.2)
        let image = BootArguments.SlotImage(first.0)
        let provisioning = try writer(first, server.url)
        let report = try provisioning.write(into: slots)
        for slot in slots { try SlotVerifier.verify(slot, holds: image) }
        let uki = try provisioning.writeFile(
            .uki, to: boots.prefix(2).map { BootTarget(device: $0, path: BootNames.slotPath) })
        let donor = BootDonor(device: boots[0], path: BootNames.slotPath, kind: .uki)
        let boot = try provisioning.writeFile(
            .boot, to: [BootTarget(device: boots[2], path: BootNames.recoveryPath(.amd64))], reusing: [donor])
        #expect(report.fetchedBytes + uki.fetchedBytes + boot.fetchedBytes <= first.0.packBytes)
        #expect(boot.fetchedBytes < 1 << 20)

        let upgrade = try serve(second.2)
        let running = try SlotDonor(slots[0], image: image)
        let delta = try writer(second, upgrade.url).write(into: [slots[1]], reusing: [running])
        try SlotVerifier.verify(slots[1], holds: BootArguments.SlotImage(second.0))
        try SlotVerifier.verify(slots[0], holds: image)
        #expect(delta.fetchedBytes < 400_000)
        #expect(try SlotVerifier.describe(boots[1]).image == image)
    }
}
