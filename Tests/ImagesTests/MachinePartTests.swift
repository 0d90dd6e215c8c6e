import Contract
import Images
import Linux
import Release
import TestSupport
import Testing

/// A machine's disk and kernel as an OCI artifact, as `oras push` makes it.
struct Artifact {
    var image: TestImage

    init(_ parts: [(type: String, bytes: [UInt8])], in scratch: Scratch) throws {
        image = try TestImage(archives: [], in: scratch)
        let config = Array("{}".utf8)
        image.blobs[Digest256(hashing: config)] = config
        let layers = parts.map { part in
            image.blobs[Digest256(hashing: part.bytes)] = part.bytes
            let digest = Digest256(hashing: part.bytes)
            return #"{"mediaType":"\#(part.type)","digest":"sha256:\#(digest)","size":\#(part.bytes.count)}"#
        }
        image.manifest = Array(
            (#"{"schemaVersion":2,"mediaType":"\#(MediaType.manifest)","artifactType":"application/vnd.apus.machine.v1","#
                + #""config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:"#
                + #"\#(Digest256(hashing: config))","size":2},"layers":[\#(layers.joined(separator: ","))]}"#).utf8)
        image.blobs[image.digest] = image.manifest
    }
}

@Suite(.ownThreads, .enabled(if: mkfsErofs != nil, "needs mkfs.erofs of erofs-utils 1.7: name it in APUS_MKFS_EROFS"))
struct MachinePartTests {
    private func pull(_ artifact: Artifact, _ store: ImageStore, _ scratch: Scratch) throws -> StoredImage {
        try artifact.image.writeLayout(scratch.path + "/layout", tag: "1")
        let puller = ImagePuller(
            store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), platform: Platform(.amd64),
            pause: { _, _ in })
        return try puller.pull(
            try ImageReference(parsing: "app:1"), from: try LocalArchive(scratch.path + "/layout"), nowSeconds: 1)
    }

    @Test func aMachinesPartsBecomeFilesOfAVerifiedFileSystemAndAreKeptOnce() throws {
        let scratch = try Scratch()
        let disk = noise(1 << 20, seed: 3)
        let artifact = try Artifact(
            [
                ("application/vnd.apus.disk.v1.qcow2", disk), ("application/vnd.apus.kernel.v1", Array("kernel".utf8)),
                ("application/vnd.apus.initrd.v1", Array("initrd".utf8)),
            ], in: scratch)
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let image = try pull(artifact, store, scratch)
        try store.verify(image)
        #expect(image.layers.isEmpty && image.digest == artifact.image.digest)
        let out = scratch.path + "/extracted"
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        try run(fsck, ["--extract=\(out)", store.files(of: image).image])
        #expect(try Files.read(out + "/disk/disk.qcow2", limitBytes: 2 << 20) == disk)
        #expect(try Files.readText(out + "/boot/vmlinuz") == "kernel")
        #expect(try Files.readText(out + "/boot/initrd") == "initrd")
        for path in ["/disk", "/boot"] { #expect((Files.status(out + path)?.mode ?? 0) & 0o777 == 0o755) }
        #expect((Files.status(out + "/disk/disk.qcow2")?.mode ?? 0) & 0o777 == 0o644)
        let plan = try store.plan(pinned: [], inUse: [image.digest], nowSeconds: 2, keepSeconds: 100)
        #expect(plan.images.isEmpty && plan.layers.count == 3, "the packed parts are not kept beside the image")
    }

    @Test func aDiskWithOtherBytesThanItsDigestIsRefused() throws {
        let scratch = try Scratch()
        let disk = noise(4096, seed: 3)
        var artifact = try Artifact([("application/vnd.apus.disk.v1.raw", disk)], in: scratch)
        artifact.image.blobs[Digest256(hashing: disk)] = noise(4096, seed: 4)
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        #expect(throws: (any Error).self) { try pull(artifact, store, scratch) }
        #expect(try store.images().isEmpty)
    }

    @Test func twoDisksOrADiskBesideAContainersLayersAreRefused() throws {
        let scratch = try Scratch()
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let bytes = noise(512, seed: 1)
        for types in [
            ["application/vnd.apus.disk.v1.raw", "application/vnd.apus.disk.v1.qcow2"],
            ["application/vnd.apus.kernel.v1", "application/vnd.apus.kernel.v1"],
            ["application/vnd.apus.disk.v1.raw", "application/vnd.oci.image.layer.v1.tar"],
            ["application/vnd.apus.disk.v2.raw"],
        ] {
            let artifact = try Artifact(types.map { ($0, bytes) }, in: scratch)
            #expect(throws: ImageError.self, "\(types)") { try pull(artifact, store, scratch) }
        }
    }
}
