import Contract
import Linux
import Release
import TestSupport
import Testing

@testable import Images

@Suite(.ownThreads) struct ZipTests {
    /// Reads a zip as it is read on its way into an image: its table, and its bytes.
    static func archive(_ path: String) throws -> (tree: MergedTree, bytes: UInt64) {
        let tree = try ZipFile.tree(path)
        return (tree, try ZipFile.write(tree, of: path) { _ in })
    }

    @Test func everyHostileZipIsRefusedWithItsReasonAndEveryGoodOneIsTaken() throws {
        let scratch = try Scratch()
        try TestZips.make(in: scratch.path)
        let names = try Files.list(scratch.path).sorted()
        #expect(names.count > 40)
        for name in names {
            let reason = LayerRefusal.Reason.allCases.first {
                name == $0.rawValue + ".zip" || name.hasPrefix($0.rawValue + "-")
            }
            guard let reason else {
                #expect(name.hasPrefix("good"), "\(name)")
                #expect(throws: Never.self, "\(name)") { try Self.archive(scratch.path + "/" + name) }
                continue
            }
            let refusal = #expect(throws: LayerRefusal.self, "\(name)") {
                try Self.archive(scratch.path + "/" + name)
            }
            #expect(refusal?.reason == reason, "\(name): \(refusal?.description ?? "")")
        }
    }

    @Test func aRefusalForWantOfABootstrapSaysWhatToDo() throws {
        let scratch = try Scratch()
        try TestZips.make(in: scratch.path)
        for (name, words) in [
            ("deeper", "it lies in '/function': zip what is in that directory"), ("mode", "chmod 755 bootstrap"),
            ("windows", "chmod 755 bootstrap"), ("elsewhere", "a link to what is not in the zip"),
        ] {
            let refusal = #expect(throws: LayerRefusal.self) {
                try ZipFile.tree("\(scratch.path)/no-bootstrap-\(name).zip")
            }
            #expect(refusal?.description.contains(words) == true, "\(refusal?.description ?? "")")
        }
    }

    @Test func whoPackedItDecidesNeitherOwnersNorWhoMayRead() throws {
        let tree = try ZipRules.merge([
            LayerEntry(path: Array("bootstrap".utf8), kind: .file(sizeBytes: 1), mode: 0o700, user: 197_609, group: -1),
            LayerEntry(path: Array("data".utf8), kind: .file(sizeBytes: 1), mode: 0o600, attributes: ["user.x": [1]]),
            directory("d", mode: 0o2700),
        ])
        #expect(tree.items.allSatisfy { $0.node.user == 0 && $0.node.group == 0 && $0.node.attributes.isEmpty })
        #expect(tree["bootstrap"]?.node.mode == 0o755 && tree["data"]?.node.mode == 0o644)
        #expect(tree["d"]?.node.mode == 0o755)
        #expect(tree["dev"] == nil, "nothing is mounted in a zip")
    }

    /// Mutations of a good zip, the same in every run.
    @Test func mutatedZipsNeverBreakThePromisesOfTheTable() throws {
        let scratch = try Scratch()
        try TestZips.make(in: scratch.path)
        let seeds = try ["good-linked", "duplicate-entry-above", "through-link", "good-single", "malformed-bzip2"].map {
            try Files.read("\(scratch.path)/\($0).zip", limitBytes: 1 << 20)
        }
        var mutator = ByteMutator(seed: 11)
        var taken = 0
        for round in 0..<3000 {
            let bytes = mutator.change(seeds[round % seeds.count])
            let path = try scratch.file("fuzzed", bytes)
            guard let tree = try? ZipFile.tree(path) else { continue }
            taken += 1
            let folders = Set(tree.items.filter { $0.node.kind == .directory }.map(\.path))
            for item in tree.items {
                let isPlain = item.path.components.allSatisfy { $0 != Array("..".utf8) && !$0.isEmpty }
                if !isPlain || !folders.contains(item.path.parent) || item.node.mode & 0o6000 != 0 {
                    Issue.record("\(item.path)")
                }
            }
            if tree.items.allSatisfy({ $0.node.mode & 0o111 == 0 }) { Issue.record("nothing can be executed") }
            var count: UInt64 = 0
            guard (try? ZipFile.write(tree, of: path, to: { count += UInt64($0.count) })) != nil else { continue }
            if !count.isMultiple(of: 512) { Issue.record("an archive of \(count) bytes") }
        }
        #expect(taken > 100, "most mutations must get as far as the table: \(taken)")
    }
}

@Suite(.ownThreads, .enabled(if: mkfsErofs != nil, "needs mkfs.erofs of erofs-utils 1.7: name it in APUS_MKFS_EROFS"))
struct ZipImageTests {
    private let scratch: Scratch
    private let store: ImageStore
    private let puller: ImagePuller

    init() throws {
        scratch = try Scratch()
        try Files.makeDirectory(scratch.path + "/served")
        try TestZips.make(in: scratch.path + "/served")
        store = try ImageStore(scratch.path + "/store", owner: "one")
        puller = ImagePuller(
            store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), platform: Platform(.amd64),
            pause: { _, _ in })
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        try Files.read("\(scratch.path)/served/\(name).zip", limitBytes: 16 << 20)
    }

    private func pull(_ address: String, _ digest: Digest256) throws -> StoredImage {
        let file = try WebFile(
            address: address, digest: digest, content: .zip, caCertificates: "", allowsPlainHTTP: true)
        return try puller.pull(file, named: "https://files.example/f.zip@sha256:\(digest)", nowSeconds: 1)
    }

    private func checkFiles(_ image: StoredImage) throws {
        #expect(image.content == .zip && image.layers.isEmpty)
        try store.verify(image)
        let out = scratch.path + "/out"
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        try run(fsck, ["--extract=\(out)", store.files(of: image).image])
        let names = ["bin", "bootstrap", "caf\u{e9}", "function.sh", "lib", "opt", "proc"]
        #expect(try Files.list(out).sorted() == names, "nothing else")
        #expect(try Files.readText(out + "/bin/tool") == "tool")
        #expect(try Files.read(out + "/lib/so", limitBytes: 2 << 20).count == 256 * 4000)
        #expect(try Files.readLink(out + "/opt") == "/opt/lib")
        for (name, mode) in [("bootstrap", 0o755), ("function.sh", 0o644), ("bin", 0o755), ("bin/tool", 0o755)] {
            #expect(Int(Files.status("\(out)/\(name)")?.mode ?? 0) & 0o7777 == mode, "\(name)")
        }
    }

    @Test func aZipAtAnAddressBecomesAVerifiedFileSystem() throws {
        let server = try FileServer(scratch.path + "/served")
        let digest = Digest256(hashing: try bytes("good"))
        let image = try pull(server.address + "/good.zip", digest)
        #expect(image.digest == digest)
        try checkFiles(image)
        // Once it is there nobody is asked.
        #expect(try pull("http://127.0.0.1:1/gone", digest) == image)
        // It is collected as other images are, and not before.
        let used = try store.plan(pinned: [], inUse: [digest], nowSeconds: 1000, keepSeconds: 10)
        #expect(used.images.isEmpty && used.layers == [digest], "only what it was made of goes")
        try store.collect(try store.plan(pinned: [], inUse: [], nowSeconds: 1000, keepSeconds: 10))
        #expect(try store.images().isEmpty)
    }

    @Test func aZipAsAnArtifactOfARegistryIsTheSame() throws {
        let zip = try bytes("good")
        let artifact = try Artifact([("application/zip", zip)], in: scratch)
        try artifact.image.writeLayout(scratch.path + "/layout", tag: "1")
        let image = try puller.pull(
            try ImageReference(parsing: "app:1"), from: try LocalArchive(scratch.path + "/layout"), nowSeconds: 1)
        #expect(image.digest == artifact.image.digest)
        try checkFiles(image)
    }

    @Test func aZipIsRefusedBeforeItIsFetchedWhereItIsTooLarge() throws {
        let server = try FileServer(scratch.path + "/served")
        let zip = try bytes("good")
        var builder = ImageBuilder(mkfsErofs: mkfsErofs ?? "")
        builder.zipLimits.packedBytes = UInt64(zip.count - 1)
        let strict = ImagePuller(store: store, builder: builder, platform: Platform(.amd64), pause: { _, _ in })
        let file = try WebFile(
            address: server.address + "/good.zip", digest: Digest256(hashing: zip), content: .zip, caCertificates: "",
            allowsPlainHTTP: true)
        let refusal = ImageError.tooLarge(what: "the zip", limitBytes: UInt64(zip.count - 1))
        #expect(throws: refusal) { try strict.pull(file, named: "f", nowSeconds: 1) }
        try Artifact([("application/zip", zip)], in: scratch).image.writeLayout(scratch.path + "/layout", tag: "1")
        let layout = try LocalArchive(scratch.path + "/layout")
        #expect(throws: refusal) { try strict.pull(try ImageReference(parsing: "app:1"), from: layout, nowSeconds: 1) }
        #expect(try Files.list(store.path + "/partial").isEmpty && Files.list(store.path + "/layers").isEmpty)
    }

    @Test func noByteIsLookedAtBeforeTheDigestOfAllIsRight() throws {
        let server = try FileServer(scratch.path + "/served")
        let digest = Digest256(hashing: try bytes("good"))
        #expect(throws: ImageError.self) { try pull(server.address + "/malformed-text.zip", digest) }
        // One that went bad on the disk is found out, although its size is right, and fetched anew.
        var bad = try bytes("good")
        bad[bad.count / 2] ^= 1
        try scratch.file("store/one/layers/\(digest)", bad)
        let found = Digest256(hashing: bad)
        #expect(throws: ImageError.digestMismatch(what: "the zip", expected: digest, found: found)) {
            try pull(server.address + "/good.zip", digest)
        }
        #expect(try pull(server.address + "/good.zip", digest).digest == digest)
    }

    @Test func aRefusedZipLeavesNoImageAndNamesTheReason() throws {
        let server = try FileServer(scratch.path + "/served")
        for name in ["escaping-link", "no-bootstrap", "set-id"] {
            let digest = Digest256(hashing: try bytes(name))
            let error = #expect(throws: ImageError.self) { try pull("\(server.address)/\(name).zip", digest) }
            let words = error?.description ?? ""
            #expect(words.hasPrefix("the zip is refused: \(name)"), "\(words)")
        }
        #expect(try store.images().isEmpty && Files.list(store.path + "/work").isEmpty)
    }
}
