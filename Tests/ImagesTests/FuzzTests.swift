import Contract
import Images
import Linux
import Release
import TestSupport
import Testing

/// Mutations of good input, the same in every run: nothing may crash, and what is accepted must keep its promises.
@Suite(.ownThreads) struct FuzzTests {
    @Test func referencesThatAreAcceptedAreCanonical() {
        var mutator = ByteMutator(seed: 1)
        let seeds = ReferenceTests.good.map { Array($0.0.utf8) }
        for _ in 0..<6_000 {
            let text = String(decoding: mutator.change(seeds[mutator.random(seeds.count)]), as: UTF8.self)
            guard let reference = try? ImageReference(parsing: text) else { continue }
            let again = try? ImageReference(parsing: reference.description)
            if again != reference {
                Issue.record("'\(text)' became '\(reference)' and that '\(String(describing: again))'")
            }
            // A tag may have two dots, but it is no part of a path by itself.
            if reference.description.split(separator: "/").contains("..") { Issue.record("'\(text)'") }
            if reference.repository.contains("..") { Issue.record("'\(text)'") }
        }
    }

    @Test func documentsNeverBreakTheirBounds() throws {
        let scratch = try Scratch()
        let image = try TestImage(archives: [CraftedTar().finished], in: scratch)
        // In one order in every run: a dictionary's is another each time.
        let documents = image.blobs.sorted { $0.key.description < $1.key.description }.map(\.value)
            .filter { $0.first == UInt8(ascii: "{") }
        var mutator = ByteMutator(seed: 2)
        for _ in 0..<6_000 {
            let bytes = mutator.change(documents[mutator.random(documents.count)])
            if case .manifest(let found)? = try? ImageDocument(parsing: bytes, mediaType: MediaType.manifest) {
                if found.packings.count != found.layers.count { Issue.record("a layer without a packing") }
            }
            if let config = try? ImageConfig(parsing: bytes, layers: 1), config.layerDigests.count != 1 {
                Issue.record("a layer without a digest")
            }
        }
    }

    @Test func archivesNeverPutAnythingWhereItDoesNotBelong() throws {
        let scratch = try Scratch()
        var crafted = CraftedTar()
        crafted.add("./", type: "5")
        crafted.add("bin/app", [1, 2, 3])
        crafted.pax("path", "bin/" + String(repeating: "long", count: 40))
        crafted.add("x", [4])
        crafted.add("bin/link", type: "1", target: "bin/app")
        crafted.add("lib", type: "2", target: "usr/lib")
        crafted.pax("SCHILY.xattr.user.a", "b")
        crafted.add("etc/.wh.gone")
        crafted.add("etc/.wh..wh..opq")
        var mutator = ByteMutator(seed: 3)
        for _ in 0..<400 {
            let archive = mutator.change(crafted.finished)
            let path = try scratch.file("fuzzed", archive)
            let layer = StoredLayer(
                path: path, packing: .plain, packedBytes: UInt64(archive.count), digest: Digest256(hashing: archive))
            guard let tree = try? TreeWriter.merge([layer]) else { continue }
            for item in tree.items {
                if item.path.components.contains(where: {
                    $0 == Array("..".utf8) || $0.starts(with: Array(".wh.".utf8))
                }) {
                    Issue.record("\(item.path)")
                }
            }
            var count: UInt64 = 0
            try TreeWriter.write(tree, of: [layer]) { count += UInt64($0.count) }
            if !count.isMultiple(of: 512) { Issue.record("an archive of \(count) bytes") }
        }
    }

    @Test func entriesInAnyOrderKeepTheTablesPromises() {
        var noise = SeededGenerator(seed: 4)
        let names = [
            "a", "a/b", "a/b/c", "dev", "proc/x", ".wh.a", "a/.wh.b", "a/.wh..wh..opq", "l", "l/x", "./", "a//b/", "..",
        ]
        for _ in 0..<2_000 {
            let layers = (0..<3).map { _ in
                (0..<5).map { _ in
                    let path = names.randomElement(using: &noise) ?? "a"
                    let other = names.randomElement(using: &noise) ?? "a"
                    return [
                        file(path, 0), file(path, 9), directory(path), symbolicLink(path, other), hardLink(path, other),
                    ]
                    .randomElement(using: &noise) ?? file(path)
                }
            }
            guard let tree = try? merge(layers) else { continue }
            let paths = tree.items.map(\.path)
            let folders = Set(tree.items.filter { $0.node.kind == .directory }.map(\.path))
            if paths != paths.sorted() || Set(paths).count != paths.count { Issue.record("order") }
            if !paths.allSatisfy({ folders.contains($0.parent) }) { Issue.record("a path below no directory") }
            let planned = tree.plan.files.values.flatMap(\.values).reduce(0) { $0 + $1.paths.count }
            if planned + tree.plan.withoutBytes.count != tree.items.count { Issue.record("a path that is not written") }
        }
    }
}
