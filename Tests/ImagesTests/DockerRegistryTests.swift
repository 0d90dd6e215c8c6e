import Contract
import Fetch
import Foundation
import Images
import Linux
import Release
import TestSupport
import Testing

/// Debian's `docker-registry`, the distribution project's own server.
private final class DockerRegistry {
    private let process = Process()
    let port: Int

    static let program = "/usr/bin/docker-registry"

    init(in scratch: Scratch) throws {
        let settings = """
            version: 0.1
            log: {level: info}
            storage: {filesystem: {rootdirectory: \(scratch.path)/registry}}
            http: {addr: "127.0.0.1:0"}
            """
        let configuration = try scratch.file("registry.yml", Array(settings.utf8))
        process.executableURL = URL(fileURLWithPath: Self.program)
        process.arguments = ["serve", configuration]
        process.standardOutput = FileHandle.nullDevice
        let log = Pipe()
        process.standardError = log
        try process.run()
        var text = ""
        var found: Int?
        while found == nil {
            let piece = log.fileHandleForReading.availableData
            try #require(!piece.isEmpty, "it ended: \(text)")
            text += String(decoding: piece, as: UTF8.self)
            guard let place = text.range(of: "listening on 127.0.0.1:") else { continue }
            let digits = text[place.upperBound...].prefix { $0.isNumber }
            if digits.endIndex < text.endIndex { found = Int(digits) }
        }
        port = try #require(found)
        // Nobody reads on: a full pipe would stop it.
        log.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Uploads an image as the specification says ("Pushing").
    func push(_ image: TestImage, as repository: String, tag: String) throws {
        let client = try HTTPClient(HTTPConfiguration(caCertificates: "", allowsPlainHTTP: true))
        let base = "http://127.0.0.1:\(port)/v2/\(repository)"
        for (digest, bytes) in image.blobs where digest != image.digest {
            let started = try client.request("POST", base + "/blobs/uploads/", body: [])
            let place = try #require(started.headers["location"])
            let separator = place.contains("?") ? "&" : "?"
            _ = try client.request(
                "PUT", "\(place)\(separator)digest=sha256:\(digest)",
                headers: [HTTPHeader("Content-Type", "application/octet-stream")], body: bytes)
        }
        _ = try client.request(
            "PUT", "\(base)/manifests/\(tag)", headers: [HTTPHeader("Content-Type", MediaType.manifest)],
            body: image.manifest)
    }
}

@Suite(.ownThreads, .enabled(if: Files.exists(DockerRegistry.program), "needs Debian's docker-registry"))
struct DockerRegistryTests {
    @Test func anImageIsPulledFromTheDistributionProjectsOwnServer() throws {
        let scratch = try Scratch()
        let image = try TestImage(archives: ordinaryArchives(in: scratch), in: scratch)
        let server = try DockerRegistry(in: scratch)
        try server.push(image, as: "team/app", tag: "1")
        let name = "127.0.0.1:\(server.port)"
        let client = RegistryClient(
            RegistryBook(registries: [
                name: RegistryAccess(origin: RegistryEndpoint(address: "http://" + name, allowsPlainHTTP: true))
            ]))
        let resolved = try ResolvedImage(
            try ImageReference(parsing: name + "/team/app:1"), from: client, platform: Platform(.amd64))
        #expect(resolved.digest == image.digest)
        for (layer, digest) in zip(resolved.manifest.layers, image.layers) {
            for offset in [0, layer.sizeBytes / 2] {
                var bytes: [UInt8] = []
                try client.blob(layer, of: resolved.reference, from: offset) { bytes += $0 }
                #expect(bytes == Array((image.blobs[digest] ?? []).dropFirst(Int(offset))))
            }
        }
        #expect(throws: ImageError.notFound("'\(name)/team/app:2'")) {
            try ResolvedImage(try ImageReference(parsing: name + "/team/app:2"), from: client)
        }
    }
}
