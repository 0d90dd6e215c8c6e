import Contract
import Images
import Testing

private let digest = "sha256:" + String(repeating: "1", count: 64)
private let other = "sha256:" + String(repeating: "2", count: 64)

private func descriptor(_ type: String, _ size: Int = 10, platform: String? = nil, digest: String = digest) -> String {
    #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)"#
        + (platform.map { #","platform":\#($0)"# } ?? "") + "}"
}
private let layer = descriptor("application/vnd.oci.image.layer.v1.tar+gzip")

private func manifest(config: String = descriptor(MediaType.config), layers: [String] = [layer], more: String = "")
    -> [UInt8]
{
    Array(
        #"{"schemaVersion":2,"config":\#(config),"layers":[\#(layers.joined(separator: ","))]\#(more)}"#.utf8)
}

private func index(_ entries: [(String, String)]) throws -> ImageIndex {
    let list = entries.map { descriptor(MediaType.manifest, platform: $0.0, digest: $0.1) }.joined(separator: ",")
    let bytes = Array(#"{"schemaVersion":2,"manifests":[\#(list)]}"#.utf8)
    guard case .index(let index) = try ImageDocument(parsing: bytes, mediaType: MediaType.index) else {
        throw ImageError.document("no index")
    }
    return index
}

@Suite struct DocumentTests {
    @Test func aManifestOfEitherKindIsRead() throws {
        guard case .manifest(let found) = try ImageDocument(parsing: manifest(), mediaType: MediaType.manifest) else {
            Issue.record("not a manifest")
            return
        }
        #expect(found.layers.map(\.sizeBytes) == [10])
        #expect(found.packings == [.gzip])
        let docker = manifest(
            config: descriptor(MediaType.dockerConfig),
            layers: [descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip")],
            more: #","mediaType":"\#(MediaType.dockerManifest)""#)
        #expect(throws: Never.self) { try ImageDocument(parsing: docker, mediaType: MediaType.dockerManifest) }
    }

    /// Named, because the test's log would hold all bytes otherwise.
    struct Bad: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]

        init(_ name: String, _ bytes: [UInt8]) {
            testDescription = name
            self.bytes = bytes
        }
    }

    static let bad: [Bad] = [
        Bad("nothing", []),
        Bad("no JSON", Array("hello".utf8)),
        Bad("an array", Array("[]".utf8)),
        Bad("schema 1", Array(#"{"schemaVersion":1,"layers":[],"config":\#(layer)}"#.utf8)),
        Bad("neither", Array(#"{"schemaVersion":2}"#.utf8)),
        Bad("both", manifest(more: #","manifests":[]"#)),
        Bad("another name", manifest(more: #","mediaType":"\#(MediaType.dockerManifest)""#)),
        Bad("an index by name", manifest(more: #","mediaType":"\#(MediaType.index)""#)),
        Bad("an artifact", manifest(config: descriptor("application/vnd.example.chart+json"))),
        Bad("unknown layer", manifest(layers: [descriptor("application/vnd.example.layer")])),
        Bad("encrypted layer", manifest(layers: [descriptor("application/vnd.oci.image.layer.v1.tar+gzip+encrypted")])),
        Bad("negative size", manifest(layers: [descriptor("application/vnd.oci.image.layer.v1.tar", -1)])),
        Bad("empty layer", manifest(layers: [descriptor("application/vnd.oci.image.layer.v1.tar", 0)])),
        Bad("huge layer", manifest(layers: [descriptor("application/vnd.oci.image.layer.v1.tar", .max)])),
        Bad(
            "huge together",
            manifest(layers: Array(repeating: descriptor("application/vnd.oci.image.layer.v1.tar", 9 << 30), count: 2))
        ),
        Bad("many layers", manifest(layers: Array(repeating: layer, count: 128))),
        Bad("huge configuration", manifest(config: descriptor(MediaType.config, 2 << 20))),
        Bad("other digest", manifest(layers: [layer.replacing("sha256:", with: "sha512:")])),
        Bad("short digest", manifest(layers: [layer.replacing("1111", with: "")])),
        Bad("nested too deeply", Array(String(repeating: "[", count: 100_000).utf8)),
        Bad("too large", [UInt8](repeating: UInt8(ascii: " "), count: 5 << 20)),
    ]

    @Test(arguments: bad) func whatIsNoImageIsRefused(document: Bad) {
        #expect(throws: ImageError.self) { try ImageDocument(parsing: document.bytes, mediaType: MediaType.manifest) }
    }

    @Test func theBestEntryForThePlatformIsTaken() throws {
        let list = try index([
            (#"{"os":"unknown","architecture":"unknown"}"#, digest),
            (#"{"os":"windows","architecture":"amd64"}"#, digest),
            (#"{"os":"linux","architecture":"amd64","variant":"v3"}"#, digest),
            (#"{"os":"linux","architecture":"amd64"}"#, other),
            (#"{"os":"linux","architecture":"arm64","variant":"v8"}"#, digest),
        ])
        #expect(try list.select(Platform(.amd64)).platform == Platform(architecture: "amd64"))
        #expect(try list.select(Platform(.arm64)).platform?.variant == "v8")
        #expect(throws: ImageError.self) { try list.select(Platform(architecture: "riscv64")) }
        let newer = try index([(#"{"os":"linux","architecture":"amd64","variant":"v3"}"#, digest)])
        #expect(throws: ImageError.self) { try newer.select(Platform(.amd64)) }
    }

    private func config(_ run: String = "{}", os: String = "linux", layers: String = "\"\(digest)\"") -> [UInt8] {
        Array(
            #"{"os":"\#(os)","architecture":"amd64","config":\#(run),"rootfs":{"type":"layers","diff_ids":[\#(layers)]}}"#
                .utf8)
    }

    @Test func aConfigurationIsRead() throws {
        let run =
            #"{"User":"1000:1000","Env":["PATH=/bin","EMPTY="],"Entrypoint":null,"Cmd":["sh"],"WorkingDir":"/srv","#
            + #""ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"StopSignal":"SIGINT","Labels":{"a":"b"},"Extra":1.5}"#
        let found = try ImageConfig(parsing: config(run), layers: 1)
        #expect(found.user == "1000:1000")
        #expect(found.environment == ["PATH=/bin", "EMPTY="])
        #expect(found.entrypoint == [])
        #expect(found.command == ["sh"])
        #expect(found.exposedPorts == ["80/tcp"])
        #expect(found.volumes == ["/data"])
        #expect(found.platform == Platform(.amd64))
    }

    @Test(arguments: [
        #"{"Env":["NAME\u0000=x"]}"#, #"{"Env":["=x"]}"#, #"{"Env":["x"]}"#, #"{"WorkingDir":"srv"}"#,
        #"{"WorkingDir":"/a/../../b"}"#, #"{"Volumes":{"../x":{}}}"#, #"{"Cmd":"sh"}"#, #"{"Cmd":["a\u0000b"]}"#,
    ])
    func aConfigurationThatCouldMisleadIsRefused(run: String) {
        #expect(throws: ImageError.self) { try ImageConfig(parsing: config(run), layers: 1) }
    }

    @Test func aConfigurationForOtherLayersIsRefused() {
        #expect(throws: ImageError.self) { try ImageConfig(parsing: config(), layers: 2) }
        #expect(throws: ImageError.self) { try ImageConfig(parsing: config(layers: "\"md5:0\""), layers: 1) }
    }
}
