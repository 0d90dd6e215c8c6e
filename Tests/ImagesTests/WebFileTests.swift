import Contract
import Fetch
import Images
import Linux
import Release
import TestSupport
import Testing

/// A server of files that knows ranges and sends one address on to another.
final class FileServer {
    private let serving: ServingProgram
    let address: String

    init(_ folder: String) throws {
        let program = """
            import http.server, os, sys
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def log_message(self, *_): pass
                def do_HEAD(self): self.answer(False)
                def do_GET(self): self.answer(True)
                def answer(self, body):
                    if self.path.startswith("/moved/"):
                        self.send_response(302)
                        self.send_header("Location", self.path[6:])
                        self.send_header("Content-Length", "0")
                        return self.end_headers()
                    path = sys.argv[1] + self.path
                    found = os.path.isfile(path)
                    data = open(path, "rb").read() if found else b""
                    wanted = self.headers.get("Range")
                    first = int(wanted[6:].split("-")[0]) if wanted else 0
                    self.send_response((206 if wanted else 200) if found else 404)
                    if wanted: self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
                    self.send_header("Content-Length", str(len(data) - first))
                    self.end_headers()
                    if body: self.wfile.write(data[first:])
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            print("serving", server.server_port, flush=True)
            server.serve_forever()
            """
        serving = try ServingProgram("/usr/bin/python3", ["-c", program, folder])
        address = "http://127.0.0.1:\(try #require(serving.ports.first))"
    }
}

@Suite(.ownThreads, .enabled(if: mkfsErofs != nil, "needs mkfs.erofs of erofs-utils 1.7: name it in APUS_MKFS_EROFS"))
struct WebFileTests {
    private func pull(_ address: String, _ digest: Digest256, _ store: ImageStore) throws -> StoredImage {
        let disk = try WebFile(
            address: address, digest: digest, content: .disk, caCertificates: "", allowsPlainHTTP: true)
        let puller = ImagePuller(
            store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), platform: Platform(.amd64),
            pause: { _, _ in })
        return try puller.pull(disk, named: "https://images.example/disk@sha256:\(digest)", nowSeconds: 1)
    }

    @Test func aDiskAtAnAddressBecomesAnImageAndGoesOnWhereItStopped() throws {
        let scratch = try Scratch()
        let bytes = noise(2 << 20, seed: 9)
        try scratch.file("served/disk.qcow2", bytes)
        let digest = Digest256(hashing: bytes)
        let server = try FileServer(scratch.path + "/served")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        try scratch.file("store/one/partial/\(digest)", Array(bytes.prefix(1 << 20)))
        let image = try pull(server.address + "/moved/disk.qcow2", digest, store)
        #expect(image.digest == digest && image.layers.isEmpty)
        try store.verify(image)
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        try run(fsck, ["--extract=\(scratch.path)/out", store.files(of: image).image])
        #expect(try Files.read(scratch.path + "/out/disk/disk.img", limitBytes: 4 << 20) == bytes)
        // Once it is there nobody is asked.
        #expect(try pull("http://127.0.0.1:1/gone", digest, store) == image)
    }

    @Test func otherBytesAndNoBytesAreRefused() throws {
        let scratch = try Scratch()
        try scratch.file("served/disk", noise(4096, seed: 1))
        try scratch.file("served/empty", [])
        let server = try FileServer(scratch.path + "/served")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let other = Digest256(hashing: noise(4096, seed: 2))
        for path in ["/disk", "/empty", "/missing", "/moved/moved/moved/moved/moved/moved/moved/disk"] {
            #expect(throws: ImageError.self, "\(path)") { try pull(server.address + path, other, store) }
        }
        #expect(try store.images().isEmpty)
        #expect(throws: ImageError.self) {
            try WebFile(address: server.address + "/disk", digest: other, content: .disk, caCertificates: "")
        }
    }

    /// An archive of an OCI image layout, as `skopeo copy … oci-archive:` writes it, at an address.
    private func archive(_ scratch: Scratch) throws -> (test: TestImage, digest: Digest256) {
        let test = try TestImage(archives: ordinaryArchives(in: scratch), in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        try Files.makeDirectory(scratch.path + "/served", mode: 0o755)
        try run("/bin/tar", ["-C", scratch.path + "/layout", "-cf", scratch.path + "/served/app.tar", "."])
        let bytes = try Files.read(scratch.path + "/served/app.tar", limitBytes: 64 << 20)
        return (test, Digest256(hashing: bytes))
    }

    private func pullArchive(_ address: String, _ digest: Digest256, _ store: ImageStore) throws -> StoredImage {
        let file = try WebFile(
            address: address, digest: digest, content: .archive, caCertificates: "", allowsPlainHTTP: true)
        let puller = ImagePuller(
            store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), platform: Platform(.amd64),
            pause: { _, _ in })
        return try puller.pull(file, named: "https://files.example/app.tar@sha256:\(digest)", nowSeconds: 1)
    }

    @Test func anArchiveAtAnAddressBecomesAContainersImageOfTheArchivesDigest() throws {
        let scratch = try Scratch()
        let (test, digest) = try archive(scratch)
        let server = try FileServer(scratch.path + "/served")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let image = try pullArchive(server.address + "/app.tar", digest, store)
        #expect(image.digest == digest && image.content == nil && image.layers.count == test.layers.count)
        #expect(image.reference == "https://files.example/app.tar@sha256:\(digest)")
        try store.verify(image)
        // The same files as the same image has that comes from elsewhere.
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        try run(fsck, ["--extract=\(scratch.path)/out", store.files(of: image).image])
        #expect(try Files.readText(scratch.path + "/out/etc/app.conf") == "two")
        #expect(try !Files.list(store.path + "/layers").contains("\(digest)"), "the archive itself is gone")
        // Once it is there nobody is asked.
        #expect(try pullArchive("http://127.0.0.1:1/gone", digest, store) == image)
    }

    @Test func archivesOfSeveralImagesOfNoneAndOfOtherPlatformsAreRefused() throws {
        let scratch = try Scratch()
        let (_, digest) = try archive(scratch)
        let server = try FileServer(scratch.path + "/served")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let file = try WebFile(
            address: server.address + "/app.tar", digest: digest, content: .archive, caCertificates: "",
            allowsPlainHTTP: true)
        let foreign = ImagePuller(
            store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), platform: Platform(.arm64),
            pause: { _, _ in })
        #expect(throws: ImageError.self) { try foreign.pull(file, named: "x", nowSeconds: 1) }
        // Not an archive at all, and one whose index names the image twice.
        let noise = noise(8192, seed: 4)
        try scratch.file("served/noise.tar", noise)
        #expect(throws: ImageError.self) {
            try pullArchive(server.address + "/noise.tar", Digest256(hashing: noise), store)
        }
        let index = try Files.readText(scratch.path + "/layout/index.json")
        let entry = try #require(index.firstRange(of: "[")).lowerBound
        let end = try #require(index.lastIndex(of: "]"))
        let inner = index[index.index(after: entry)..<end]
        try scratch.file("layout/index.json", Array((index[...entry] + inner + "," + inner + index[end...]).utf8))
        try run("/bin/tar", ["-C", scratch.path + "/layout", "-cf", scratch.path + "/served/two.tar", "."])
        let two = Digest256(hashing: try Files.read(scratch.path + "/served/two.tar", limitBytes: 64 << 20))
        let error = #expect(throws: ImageError.self) { try pullArchive(server.address + "/two.tar", two, store) }
        #expect("\(String(describing: error))".contains("2 images"))
        #expect(try store.images().isEmpty)
    }
}
