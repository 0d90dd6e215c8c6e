import Contract
import Images
import Linux
import Release
import TestSupport
import Testing

@Suite(.ownThreads) struct LayerReaderTests {
    private func layer(
        _ archive: [UInt8], _ packing: LayerPacking = .plain, in scratch: Scratch
    ) throws -> StoredLayer {
        let packed = try pack(archive, packing, in: scratch)
        return StoredLayer(
            path: try scratch.file("layer-\(Digest256(hashing: packed))", packed), packing: packing,
            packedBytes: UInt64(packed.count), digest: Digest256(hashing: archive))
    }

    private func refusal(_ body: () throws -> Void) -> LayerRefusal.Reason? {
        guard case .layer(let refusal, _)? = #expect(throws: ImageError.self, performing: body) else { return nil }
        return refusal.reason
    }

    @Test(arguments: [LayerPacking.plain, .gzip, .zstd]) func ordinaryLayersAreMergedAndWrittenAsOneArchive(
        packing: LayerPacking
    ) throws {
        let scratch = try Scratch()
        let layers = try ordinaryArchives(in: scratch).map { try layer($0, packing, in: scratch) }
        let tree = try TreeWriter.merge(layers)
        #expect(tree["etc/app.conf"]?.layer == 1)
        #expect(tree["etc/gone.conf"] == nil)
        #expect(tree["bin/same"]?.layer == 0)
        var bytes: [UInt8] = []
        let count = try TreeWriter.write(tree, of: layers) { bytes += $0 }
        #expect(count == UInt64(bytes.count))
        let archive = try scratch.file("merged.tar", bytes)
        try Files.makeDirectory(scratch.path + "/out")
        try run("/bin/tar", ["-C", scratch.path + "/out", "-xf", archive])
        let out = scratch.path + "/out"
        #expect(try Files.readText(out + "/etc/app.conf") == "two")
        #expect(!Files.exists(out + "/etc/gone.conf") && !Files.exists(out + "/etc/.wh.gone.conf"))
        #expect(try Files.read(out + "/bin/app") == Files.read(scratch.path + "/one/bin/app"))
        #expect(Files.status(out + "/bin/same")?.inode == Files.status(out + "/bin/app")?.inode)
        #expect(try Files.readLink(out + "/bin/sh") == "/bin/app")
        let deep = "/usr/share/\(String(repeating: "long-name-", count: 20))/caf\u{e9}"
        #expect(try Files.readText(out + deep) == "deep")
        #expect(Files.status(out + "/proc")?.kind == .directory)
    }

    @Test func attributesBigOwnersAndLongLinksSurviveTheWriter() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        let target = String(repeating: "t", count: 200)
        crafted.pax("linkpath", target)
        crafted.add("link", type: "2", target: "t")
        crafted.pax("SCHILY.xattr.user.note", "value=with\nlines")
        crafted.add("file", [1, 2, 3], mode: 0o4755, user: 65_535)
        let layer = try layer(crafted.finished, in: scratch)
        let tree = try TreeWriter.merge([layer])
        var bytes: [UInt8] = []
        try TreeWriter.write(tree, of: [layer], idOffset: 4_000_000_000) { bytes += $0 }
        let again = try scratch.file("again.tar", bytes)
        var entries: [String: LayerEntry] = [:]
        _ = try LayerReader.read(again, packing: .plain, packedBytes: UInt64(bytes.count)) { _, entry, _ in
            entries[String(decoding: entry.path, as: UTF8.self)] = entry
        }
        #expect(entries["./file"]?.user == 4_000_065_535)
        #expect(entries["./file"]?.mode == 0o755)
        #expect(entries["./file"]?.attributes == ["user.note": Array("value=with\nlines".utf8)])
        #expect(entries["./link"]?.kind == .symbolicLink(target: Array(target.utf8)))
        #expect(entries["./dev/"]?.kind == .directory)
    }

    @Test func hostileArchivesAreRefusedAsTheyAreOnDisk() throws {
        let scratch = try Scratch()
        let cases: [(LayerRefusal.Reason, (inout CraftedTar) -> Void)] = [
            (.parentPath, { $0.add("../x", [1]) }),
            (.absolutePath, { $0.add("/x", [1]) }),
            (
                .absolutePath,
                {
                    $0.pax("path", "/etc/passwd"); $0.add("x", [1])
                }
            ),
            (.badHardLink, { $0.add("x", type: "1", target: "/etc/shadow") }),
            (.escapingLink, { $0.add("x", type: "2", target: "../../etc") }),
            (
                .throughLink,
                {
                    $0.add("x", type: "2", target: "/etc"); $0.add("x/passwd", [1])
                }
            ),
            (.deviceNode, { $0.add("null", type: "3") }),
            (.deviceNode, { $0.add("disk", type: "4") }),
            (.whiteoutTrick, { $0.add(".wh...", []) }),
            (
                .overlayAttribute,
                {
                    $0.pax("SCHILY.xattr.trusted.overlay.redirect", "/x"); $0.add("x", type: "5")
                }
            ),
            (
                .ownerOutOfRange,
                {
                    $0.pax("uid", "4294967295"); $0.add("x")
                }
            ),
            (.notADirectory, { $0.add("proc", type: "2", target: "tmp") }),
            (.malformed, { $0.add("x", [1], size: 100_000) }),
            (
                .tooLarge,
                {
                    $0.pax("size", "99999999999999"); $0.add("x")
                }
            ),
        ]
        for (number, (reason, craft)) in cases.enumerated() {
            var crafted = CraftedTar()
            craft(&crafted)
            let layer = try layer(crafted.finished, in: scratch)
            #expect(refusal { _ = try TreeWriter.merge([layer]) } == reason, "case \(number)")
        }
    }

    @Test func aNameThatIsNotUTF8IsKeptByteForByteOrRefused() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        crafted.add("name", [1])
        var archive = crafted.finished
        // In an old header a name is bytes; 0xff for 'n' changes the sum of the header by as much.
        archive[0] = 0xff
        let sum = archive[0..<512].enumerated().reduce(0) {
            $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element))
        }
        let digits = String(sum, radix: 8)
        archive.replaceSubrange(148..<154, with: Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8))
        let tree = try TreeWriter.merge([try layer(archive, in: scratch)])
        #expect(tree.items.contains { $0.path.bytes == [0xff] + Array("ame".utf8) })
    }

    @Test func compressionBombsAreStopped() throws {
        let scratch = try Scratch()
        var limits = ImageLimits()
        limits.bombFloorBytes = 1 << 20
        limits.expansion = 100
        var crafted = CraftedTar()
        crafted.add("zeros", [UInt8](repeating: 0, count: 4 << 20))
        for packing in [LayerPacking.gzip, .zstd] {
            let bomb = try layer(crafted.finished, packing, in: scratch)
            #expect(refusal { _ = try TreeWriter.merge([bomb], limits: limits) } == .compressionBomb)
        }
        limits.expansion = 1_000_000
        limits.unpackedBytes = 2 << 20
        let large = try layer(crafted.finished, .gzip, in: scratch)
        #expect(refusal { _ = try TreeWriter.merge([large], limits: limits) } == .tooLarge)
    }

    @Test func whatIsCompressedTwiceIsRefused() throws {
        let scratch = try Scratch()
        let once = try pack(try ordinaryArchives(in: scratch)[1], .gzip, in: scratch, name: "once")
        let twice = try layer(once, .gzip, in: scratch)
        #expect(refusal { _ = try TreeWriter.merge([twice]) } == .nestedCompression)
    }

    @Test func aLayerThatIsNotWhatTheConfigurationNamesIsRefused() throws {
        let scratch = try Scratch()
        var wrong = try layer(try ordinaryArchives(in: scratch)[1], .gzip, in: scratch)
        wrong.digest = Digest256(hashing: [])
        let error = #expect(throws: ImageError.self) { try TreeWriter.merge([wrong]) }
        guard case .digestMismatch? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func bytesBehindTheArchivesEndCountForItsDigestAndAreNoEntries() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        crafted.add("a", [1])
        var hidden = CraftedTar()
        hidden.add("../evil", [1])
        let tree = try TreeWriter.merge([try layer(crafted.finished + hidden.finished, .gzip, in: scratch)])
        #expect(tree.table == ["a": 0])
    }

    @Test func cutAndEmptyLayersAreRefused() throws {
        let scratch = try Scratch()
        let archive = try ordinaryArchives(in: scratch)[0]
        let packed = try pack(archive, .gzip, in: scratch)
        let cut = StoredLayer(
            path: try scratch.file("cut", Array(packed.prefix(packed.count / 2))), packing: .gzip,
            packedBytes: UInt64(packed.count / 2), digest: Digest256(hashing: archive))
        #expect(throws: ImageError.self) { try TreeWriter.merge([cut]) }
        let text = try layer(Array("this is no archive at all, however long it is".utf8), .gzip, in: scratch)
        #expect(refusal { _ = try TreeWriter.merge([text]) } == .malformed)
    }

    @Test func aSparseFilesEndlessMapIsStopped() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        crafted.add("sparse", type: "S", size: 512)
        var archive = crafted.bytes
        // GNU tar's old form: the header, and every block of the map, says that another block follows.
        archive[257..<265] = ArraySlice("ustar  \u{0}".utf8)
        archive.replaceSubrange(386..<410, with: Array("00000000000\u{0}00000000001\u{0}".utf8))
        archive[482] = 1
        archive.replaceSubrange(483..<494, with: Array("00010000000".utf8))
        let sum = archive[0..<512].enumerated().reduce(0) {
            $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element))
        }
        let digits = String(sum, radix: 8)
        archive.replaceSubrange(148..<154, with: Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8))
        var block: [UInt8] = []
        for number in 1..<22 {
            let octal = String(number, radix: 8)
            block += Array((String(repeating: "0", count: 11 - octal.count) + octal + "\u{0}00000000001\u{0}").utf8)
        }
        block += [1] + [UInt8](repeating: 0, count: 7)
        var map: [UInt8] = []
        map.reserveCapacity(5 << 20)
        while map.count < 5 << 20 { map += block }
        let sparse = try layer(archive + map, .gzip, in: scratch)
        let error = #expect(throws: ImageError.self) { try TreeWriter.merge([sparse]) }
        guard case .layer(let refusal, 0)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(refusal == LayerRefusal(.malformed, detail: "a header is too large"))
    }
}
