import Contract
import Images
import Linux
import Release
import TestSupport
import Testing

/// Archives made by hand, header by header, as no decent program would.
struct CraftedTar {
    private(set) var bytes: [UInt8] = []

    /// Adds an entry with a header of any kind; `size` overrides what the header says about the bytes.
    mutating func add(
        _ name: String, type: Character = "0", _ content: [UInt8] = [], target: String = "", mode: Int = 0o644,
        user: Int = 0, size: Int? = nil
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Collection<UInt8>, _ offset: Int) {
            header.replaceSubrange(offset..<offset + text.count, with: text)
        }
        func octal(_ value: Int, _ digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
        }
        put(Array(name.utf8.prefix(100)), 0)
        put(octal(mode, 7), 100)
        put(octal(user, 7), 108)
        put(octal(0, 7), 116)
        put(octal(size ?? content.count, 11), 124)
        put(octal(0, 11), 136)
        put(Array("        ".utf8), 148)
        put(Array(String(type).utf8), 156)
        put(Array(target.utf8.prefix(100)), 157)
        put(Array("ustar\u{0}00".utf8), 257)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6) + [0], 148)
        bytes += header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    /// Adds a pax header for the next entry.
    mutating func pax(_ key: String, _ value: String) {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count + 1
        while rest.utf8.count + String(length).utf8.count != length { length += 1 }
        add("pax", type: "x", Array((String(length) + rest).utf8))
    }

    /// The archive with its end.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}

/// An image with all its blobs, as a registry or a layout holds it.
struct TestImage {
    var blobs: [Digest256: [UInt8]] = [:]
    var manifest: [UInt8] = []
    var layers: [Digest256] = []
    var digest: Digest256 { Digest256(hashing: manifest) }

    /// Packs archives into layers.
    init(archives: [[UInt8]], packing: LayerPacking = .gzip, architecture: String = "amd64", in scratch: Scratch) throws
    {
        var list: [String] = []
        for (number, archive) in archives.enumerated() {
            let packed = try pack(archive, packing, in: scratch, name: "layer-\(number)")
            let digest = Digest256(hashing: packed)
            blobs[digest] = packed
            layers.append(digest)
            let type = "application/vnd.oci.image.layer.v1.tar" + (packing == .plain ? "" : "+\(packing.rawValue)")
            list.append(#"{"mediaType":"\#(type)","digest":"sha256:\#(digest)","size":\#(packed.count)}"#)
        }
        let ids = archives.map { "\"sha256:\(Digest256(hashing: $0))\"" }.joined(separator: ",")
        let config = Array(
            (#"{"os":"linux","architecture":"\#(architecture)","config":{"Cmd":["/bin/app"]},"#
                + #""rootfs":{"type":"layers","diff_ids":[\#(ids)]}}"#).utf8)
        let configDigest = Digest256(hashing: config)
        blobs[configDigest] = config
        manifest = Array(
            (#"{"schemaVersion":2,"mediaType":"\#(MediaType.manifest)","config":{"mediaType":"\#(MediaType.config)","#
                + #""digest":"sha256:\#(configDigest)","size":\#(config.count)},"layers":[\#(list.joined(separator: ","))]}"#)
                .utf8)
        blobs[digest] = manifest
    }

    /// Writes an OCI image layout.
    func writeLayout(_ folder: String, tag: String) throws {
        try Files.makeDirectory(folder + "/blobs/sha256")
        try Files.writeDurably(Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8), to: folder + "/oci-layout")
        let index =
            #"{"schemaVersion":2,"manifests":[{"mediaType":"\#(MediaType.manifest)","digest":"sha256:\#(digest)","#
            + #""size":\#(manifest.count),"annotations":{"org.opencontainers.image.ref.name":"\#(tag)"}}]}"#
        try Files.writeDurably(Array(index.utf8), to: folder + "/index.json")
        for (digest, bytes) in blobs { try Files.writeDurably(bytes, to: "\(folder)/blobs/sha256/\(digest)") }
    }
}

/// Packs with the ordinary programs.
func pack(_ archive: [UInt8], _ packing: LayerPacking, in scratch: Scratch, name: String = "x") throws -> [UInt8] {
    let path = try scratch.file("pack/" + name, archive)
    switch packing {
    case .plain: return archive
    case .gzip: try run("/usr/bin/gzip", ["-n", "-f", "-k", path])
    case .zstd: try run("/usr/bin/zstd", ["-q", "-f", path, "-o", path + ".gz"])
    }
    return try Files.read(path + ".gz", limitBytes: 1 << 30)
}

/// An ordinary small image: two archives by tar(1), the second with whiteouts.
func ordinaryArchives(in scratch: Scratch) throws -> [[UInt8]] {
    var noise = SeededGenerator(seed: 7)
    try scratch.file("one/bin/app", noise.bytes(300_001))
    try scratch.file("one/etc/app.conf", Array("one\n".utf8))
    try scratch.file("one/etc/gone.conf", Array("gone\n".utf8))
    try scratch.file("one/usr/share/\(String(repeating: "long-name-", count: 20))/caf\u{e9}", Array("deep\n".utf8))
    let one = scratch.path + "/one"
    try run("/bin/ln", ["\(one)/bin/app", "\(one)/bin/same"])
    try run("/bin/ln", ["-s", "/bin/app", "\(one)/bin/sh"])
    try scratch.file("two/etc/app.conf", Array("two\n".utf8))
    try scratch.file("two/etc/.wh.gone.conf", [])
    return try ["one", "two"].map { name in
        let archive = scratch.path + "/\(name).tar"
        try run(
            "/bin/tar",
            [
                "--format=pax", "--owner=0", "--group=0", "--sort=name", "-C", "\(scratch.path)/\(name)", "-cf",
                archive, ".",
            ])
        return try Files.read(archive, limitBytes: 16 << 20)
    }
}
