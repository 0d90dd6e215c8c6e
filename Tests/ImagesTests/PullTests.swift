import Contract
import Fetch
import Images
import Linux
import Release
import TestSupport
import Testing

/// Pulling from one source into a store, with the real mkfs.erofs where it is new enough.
@Suite(.ownThreads, .enabled(if: mkfsErofs != nil, "needs mkfs.erofs of erofs-utils 1.7: name it in APUS_MKFS_EROFS"))
struct PullTests {
    private let builder = ImageBuilder(mkfsErofs: mkfsErofs ?? "")

    private func image(in scratch: Scratch) throws -> TestImage {
        try TestImage(archives: ordinaryArchives(in: scratch), in: scratch)
    }

    private func puller(_ store: ImageStore) -> ImagePuller {
        ImagePuller(store: store, builder: builder, platform: Platform(.amd64), pause: { _, _ in })
    }

    @Test func anImageBecomesAVerifiedFileSystemAndIsFoundAgainWithoutARegistry() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        var server: RegistryServer? = try RegistryServer(test)
        let reference = try #require(try server?.reference("token/app:1"))
        let client = try #require(try server?.client())
        var progress: [PullProgress] = []
        var digest: Digest256?
        do {
            let store = try ImageStore(scratch.path + "/store", owner: "one")
            let image = try puller(store).pull(reference, from: client, nowSeconds: 5) { progress.append($0) }
            digest = image.digest
            #expect(image.digest == test.digest)
            #expect(progress.last == .building)
            try check(image, in: store, scratch)
        }
        server = nil
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let pinned = reference.pinned(to: try #require(digest))
        let again = try puller(store).pull(pinned, from: client, nowSeconds: 6)
        #expect(try store.images() == [again])
        #expect(try store.config(of: again).command == ["/bin/app"])
    }

    /// The file system by the other programs: fsck.erofs unpacks it, VerityBuilder hashes it.
    private func check(_ image: StoredImage, in store: ImageStore, _ scratch: Scratch) throws {
        try store.verify(image)
        let files = store.files(of: image)
        let bytes = try Files.read(files.image, limitBytes: 64 << 20)
        var verity = try VerityBuilder(dataBlocks: image.blocks, salt: [UInt8](lowercaseHex: image.salt) ?? [])
        try bytes.withUnsafeBytes { try verity.append($0) }
        let tree = try verity.finish()
        #expect(tree.rootHash == image.rootHash)
        #expect(try Files.read(files.tree, limitBytes: 64 << 20) == tree.image)
        if Files.exists("/usr/sbin/veritysetup") {
            try run("/usr/sbin/veritysetup", ["verify", files.image, files.tree, image.rootHash.description])
        }
        let device = image.verity(named: "one", dataDevice: "/dev/loop1", treeDevice: "/dev/loop2")
        #expect(
            device.parameters
                == "1 /dev/loop1 /dev/loop2 4096 4096 \(image.blocks) 1 sha256 \(image.rootHash) \(image.salt)")
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        let out = scratch.path + "/extracted"
        try run(fsck, ["--extract=\(out)", files.image])
        #expect(try Files.readText(out + "/etc/app.conf") == "two")
        #expect(!Files.exists(out + "/etc/gone.conf"))
        #expect(try Files.read(out + "/bin/app") == Files.read(scratch.path + "/one/bin/app"))
        #expect(Files.status(out + "/dev")?.kind == .directory)
        #expect(try Files.readLink(out + "/bin/sh") == "/bin/app")
    }

    @Test func equalImagesOfOneOwnerAreEqualBytes() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let source = try LocalArchive(scratch.path + "/layout")
        let reference = try ImageReference(parsing: "app:1")
        var hashes: [Digest256] = []
        for number in 0..<2 {
            let store = try ImageStore(scratch.path + "/store-\(number)", owner: "one")
            hashes.append(try puller(store).pull(reference, from: source, nowSeconds: Int64(number)).rootHash)
        }
        #expect(hashes[0] == hashes[1])
    }

    @Test func ownersShareNoInode() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let source = try LocalArchive(scratch.path + "/layout")
        var inodes: [UInt64] = []
        var salts: Set<String> = []
        for owner in ["one", "two"] {
            let store = try ImageStore(scratch.path + "/store", owner: owner)
            let image = try puller(store).pull(try ImageReference(parsing: "app:1"), from: source, nowSeconds: 1)
            salts.insert(image.salt)
            let files = store.files(of: image)
            let layers = try Files.list(store.path + "/layers").map { store.path + "/layers/" + $0 }
            #expect(layers.count == 2)
            inodes += (layers + [files.image, files.tree]).compactMap { Files.status($0)?.inode }
        }
        #expect(inodes.count == 8 && Set(inodes).count == 8)
        #expect(salts.count == 2)
    }

    @Test func aCancelledPullEndsAndKeepsWhatArrived() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        let server = try RegistryServer(test)
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let cancellation = Cancellation()
        #expect(throws: ImageError.transfer(.aborted)) {
            try puller(store).pull(
                try server.reference("open/app:1"), from: server.client(), nowSeconds: 1, cancellation: cancellation
            ) { progress in
                if case .layer(1, let arrived, _) = progress, arrived > 0 { cancellation.cancel() }
            }
        }
        #expect(try store.images().isEmpty && !Files.list(store.path + "/partial").isEmpty)
    }

    @Test(arguments: ["breaks/app:1", "norange/app:1"]) func aTransferThatBreaksOffGoesOn(repository: String) throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        let server = try RegistryServer(test)
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        _ = try puller(store).pull(try server.reference(repository), from: server.client(), nowSeconds: 1)
        let ranges = server.log.filter { $0.contains(test.layers[0].description) }.compactMap {
            $0.split(separator: " ").last
        }
        let resumed = ["-", "bytes=70000-", "bytes=140000-", "bytes=210000-"]
        #expect(ranges.count == (repository.hasPrefix("breaks") ? 4 : 3))
        for (range, start) in zip(ranges, repository.hasPrefix("breaks") ? resumed : ["-", "bytes=70000-", "-"]) {
            #expect(range.hasPrefix(start))
        }
    }

    @Test func whatAPowerCutLeftIsUsedAndIfWrongFetchedAnew() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        let server = try RegistryServer(test)
        let layer = test.layers[0]
        let packed = try #require(test.blobs[layer])
        for left in [Array(packed.prefix(100_000)), [UInt8](repeating: 0, count: 100_000), packed + [1]] {
            let path = scratch.path + "/store"
            try Files.removeTree(path)
            try scratch.file("store/one/partial/\(layer)", left)
            try scratch.file("store/one/work/image/tree.tar", [1, 2, 3])
            let store = try ImageStore(path, owner: "one")
            _ = try puller(store).pull(try server.reference("open/app:1"), from: server.client(), nowSeconds: 1)
            #expect(Digest256(hashing: try Files.read("\(path)/one/layers/\(layer)", limitBytes: 64 << 20)) == layer)
            #expect(try Files.list(path + "/one/partial").isEmpty && Files.list(path + "/one/work").isEmpty)
        }
        #expect(server.log.contains { $0.contains(layer.description) && $0.contains("bytes=100000-") })
    }

    @Test func wrongBytesAreNeverKeptAndAnotherServerIsAsked() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        let server = try RegistryServer(test)
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        #expect(throws: (any Error).self) {
            try puller(store).pull(try server.reference("wrong/app:1"), from: server.client(), nowSeconds: 1)
        }
        #expect(try Files.list(store.path + "/layers").isEmpty && store.images().isEmpty)
        var tampered = test
        tampered.blobs[test.layers[0]]?[5_000] ^= 1
        let mirror = try RegistryServer(tampered)
        let book = RegistryBook(registries: [
            "registry.example": RegistryAccess(origin: try server.endpoint(), mirrors: [try mirror.endpoint()])
        ])
        let image = try puller(store).pull(
            try ImageReference(parsing: "registry.example/open/app:1"), from: RegistryClient(book), nowSeconds: 1)
        #expect(image.layers == test.layers)
        #expect(mirror.log.count { $0.contains(test.layers[0].description) } == 1)
        #expect(mirror.log.contains { $0.contains(test.layers[1].description) })
    }

    @Test func aHostileLayerLeavesNoImage() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        crafted.add("dev", type: "2", target: "/tmp")
        let test = try TestImage(archives: [crafted.finished], in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let error = #expect(throws: ImageError.self) {
            try puller(store).pull(
                try ImageReference(parsing: "app:1"), from: LocalArchive(scratch.path + "/layout"), nowSeconds: 1)
        }
        guard case .layer(let refusal, nil)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal.reason == .notADirectory)
        #expect(try store.images().isEmpty && Files.list(store.path + "/work").isEmpty)
    }

    /// A source that breaks off for good after so many bytes, as a power cut does.
    private final class CutSource: ImageSource {
        let whole: any ImageSource
        var left: Int
        struct Cut: Error {}

        init(_ whole: any ImageSource, afterBytes: Int) {
            self.whole = whole
            left = afterBytes
        }

        func find(_ reference: ImageReference, limitBytes: Int, cancellation: Cancellation?) throws -> FoundDocument {
            try whole.find(reference, limitBytes: limitBytes, cancellation: cancellation)
        }

        func document(
            _ descriptor: Descriptor, of reference: ImageReference, limitBytes: Int, cancellation: Cancellation?
        ) throws -> FoundDocument {
            try whole.document(descriptor, of: reference, limitBytes: limitBytes, cancellation: cancellation)
        }

        func blob(
            _ descriptor: Descriptor, of reference: ImageReference, from offset: UInt64, cancellation: Cancellation?,
            onBytes: (UnsafeRawBufferPointer) throws -> Void
        ) throws {
            try whole.blob(descriptor, of: reference, from: offset, cancellation: cancellation) { piece in
                let part = UnsafeRawBufferPointer(rebasing: piece.prefix(left))
                left -= part.count
                if !part.isEmpty { try onBytes(part) }
                if part.count < piece.count { throw Cut() }
            }
        }
    }

    @Test func aPullThatIsCutAnywhereIsFinishedByTheNext() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let source = try LocalArchive(scratch.path + "/layout")
        let reference = try ImageReference(parsing: "app:1")
        let total = test.blobs.values.reduce(0) { $0 + $1.count } - test.manifest.count
        var hashes: Set<Digest256> = []
        for cut in [0, 1, 1000, total / 2, total - 1] {
            let path = scratch.path + "/store-\(cut)"
            do {
                let store = try ImageStore(path, owner: "one")
                #expect(throws: CutSource.Cut.self) {
                    try puller(store).pull(reference, from: CutSource(source, afterBytes: cut), nowSeconds: 1)
                }
                #expect(try store.images().isEmpty)
            }
            let store = try ImageStore(path, owner: "one")
            var failing = builder
            failing.mkfsErofs = "/bin/false"
            #expect(throws: ImageError.self) {
                try ImagePuller(store: store, builder: failing, platform: Platform(.amd64))
                    .pull(reference, from: source, nowSeconds: 1)
            }
            #expect(try store.images().isEmpty && Files.list(store.path + "/work").isEmpty)
            hashes.insert(try puller(store).pull(reference, from: source, nowSeconds: 1).rootHash)
        }
        #expect(hashes.count == 1)
    }

    /// The reference OS, where it was built: real files of a real distribution, with links and set-id programs.
    static let osRoot: String? = (mkfsErofs?.replacing("tools/mkfs.erofs", with: "os/root.tar")).flatMap {
        Files.exists($0) && $0.hasSuffix(".tar") ? $0 : nil
    }

    @Test(.enabled(if: osRoot != nil, "build the OS first: os/build.sh")) func aWholeDistributionBecomesAnImage() throws
    {
        let scratch = try Scratch()
        let archive = try Files.read(try #require(Self.osRoot), limitBytes: 1 << 30)
        let test = try TestImage(archives: [archive], packing: .zstd, in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let image = try puller(store).pull(
            try ImageReference(parsing: "os:1"), from: LocalArchive(scratch.path + "/layout"), nowSeconds: 1)
        try store.verify(image)
        let fsck = (mkfsErofs ?? "").replacing("mkfs.erofs", with: "fsck.erofs")
        try run(fsck, ["--extract=\(scratch.path)/os", store.files(of: image).image])
        #expect(try Files.readText(scratch.path + "/os/usr/lib/os-release").contains("Debian"))
    }

    @Test func aDamagedImageIsFoundAndCollectedImagesAreGone() throws {
        let scratch = try Scratch()
        let test = try image(in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        let store = try ImageStore(scratch.path + "/store", owner: "one")
        let image = try puller(store).pull(
            try ImageReference(parsing: "app:1"), from: LocalArchive(scratch.path + "/layout"), nowSeconds: 100)
        let kept = try store.plan(pinned: [image.digest], inUse: [], nowSeconds: 10_000, keepSeconds: 10)
        #expect(kept.images.isEmpty && kept.layers.isEmpty)
        let file = try OwnedDescriptor(opening: store.files(of: image).image, [.write])
        try [UInt8](repeating: 0xaa, count: 4096).withUnsafeBytes { try file.write($0, at: 8192) }
        #expect(throws: ImageError.self) { try store.verify(image) }
        let plan = try store.plan(pinned: [], inUse: [], nowSeconds: 10_000, keepSeconds: 10)
        #expect(plan.images == [image.digest] && plan.layers.count == 2)
        try store.collect(plan)
        #expect(try store.images().isEmpty && Files.list(store.path + "/layers").isEmpty)
    }
}

@Suite(.ownThreads) struct StoreTests {
    @Test func aStoreHasOneUserAndItsOwnersNameIsPlain() throws {
        let scratch = try Scratch()
        let store = try ImageStore(scratch.path, owner: "team-1")
        #expect(throws: ImageError.self) { try ImageStore(scratch.path, owner: "team-1") }
        #expect(try store.images().isEmpty)
        for owner in ["", "..", "a/b", "-a", "A", String(repeating: "a", count: 64)] {
            #expect(throws: ImageError.self) { try ImageStore(scratch.path, owner: owner) }
        }
    }

    @Test func aDirectoryThatIsNoWholeImageIsNone() throws {
        let scratch = try Scratch()
        let name = String(repeating: "1", count: 64) + "-strip-0"
        try scratch.file("one/images/\(name)/image.json", Array("{}".utf8))
        try scratch.file("one/images/other/image.json", [UInt8](repeating: 0, count: 100_000))
        #expect(try ImageStore(scratch.path, owner: "one").images().isEmpty)
    }
}

@Suite(.ownThreads) struct LocalArchiveTests {
    private func layout(_ scratch: Scratch) throws -> TestImage {
        let test = try TestImage(archives: ordinaryArchives(in: scratch), in: scratch)
        try test.writeLayout(scratch.path + "/layout", tag: "1")
        return test
    }

    @Test(arguments: [false, true]) func aLayoutAndATarOfOneAreRead(asTar: Bool) throws {
        let scratch = try Scratch()
        let test = try layout(scratch)
        var path = scratch.path + "/layout"
        if asTar {
            try run("/bin/tar", ["-C", path, "-cf", scratch.path + "/layout.tar", "."])
            path = scratch.path + "/layout.tar"
        }
        let source = try LocalArchive(path)
        #expect(source.names == ["1"])
        for reference in ["app:1", "app@sha256:\(test.digest)"] {
            let resolved = try ResolvedImage(
                try ImageReference(parsing: reference), from: source, platform: Platform(.amd64))
            #expect(resolved.digest == test.digest)
            for (layer, digest) in zip(resolved.manifest.layers, test.layers) {
                var bytes: [UInt8] = []
                try source.blob(layer, of: resolved.reference, from: 1000) { bytes += $0 }
                #expect(bytes == (test.blobs[digest] ?? []).dropFirst(1000).map { $0 })
            }
        }
        #expect(throws: ImageError.self) {
            try ResolvedImage(
                try ImageReference(parsing: "app@sha256:" + String(repeating: "0", count: 64)), from: source)
        }
        #expect(throws: ImageError.self) {
            try ResolvedImage(try ImageReference(parsing: "app:1"), from: source, platform: Platform(.arm64))
        }
        #expect(throws: ImageError.self) {
            try ResolvedImage(try ImageReference(parsing: "app:2"), from: source, platform: Platform(.amd64))
        }
    }

    @Test func whatIsNoLayoutIsRefused() throws {
        let scratch = try Scratch()
        let test = try layout(scratch)
        let folder = scratch.path + "/layout"
        try run("/bin/tar", ["-C", folder, "-czf", scratch.path + "/layout.tar.gz", "."])
        try scratch.file("noise", Array(repeating: 7, count: 4096))
        for bad in ["layout.tar.gz", "noise", "missing"] {
            #expect(throws: ImageError.self) { try LocalArchive(scratch.path + "/" + bad) }
        }
        // A blob that is a link could lead out of the layout.
        try Files.link("\(folder)/blobs/sha256/\(test.digest)", to: "/etc/passwd")
        let source = try LocalArchive(folder)
        #expect(throws: (any Error).self) { try ResolvedImage(try ImageReference(parsing: "app:1"), from: source) }
    }
}
