import Images
import TestSupport
import Testing

/// Entries and trees in few words.
func file(_ path: String, _ size: UInt64 = 1, mode: UInt32 = 0o644) -> LayerEntry {
    LayerEntry(path: Array(path.utf8), kind: .file(sizeBytes: size), mode: mode)
}
func directory(_ path: String, mode: UInt32 = 0o755) -> LayerEntry {
    LayerEntry(path: Array(path.utf8), kind: .directory, mode: mode)
}
func symbolicLink(_ path: String, _ target: String) -> LayerEntry {
    LayerEntry(path: Array(path.utf8), kind: .symbolicLink(target: Array(target.utf8)), mode: 0o777)
}
func hardLink(_ path: String, _ target: String) -> LayerEntry {
    LayerEntry(path: Array(path.utf8), kind: .hardLink(target: Array(target.utf8)))
}
func whiteout(_ path: String) -> LayerEntry { file(path, 0) }

func merge(_ layers: [[LayerEntry]], _ rules: LayerRules = LayerRules()) throws(LayerRefusal) -> MergedTree {
    var merger = TreeMerger(rules: rules)
    for layer in layers { try merger.apply(layer) }
    return try merger.finish()
}

extension MergedTree {
    /// Each path with the layer that provides it, but for the mount points.
    var table: [String: Int] {
        var table: [String: Int] = [:]
        for item in items where !["", "dev", "proc", "sys"].contains(String(decoding: item.path.bytes, as: UTF8.self)) {
            table[String(decoding: item.path.bytes, as: UTF8.self)] = item.layer
        }
        return table
    }
}

@Suite(.ownThreads) struct MergeTests {
    @Test func anUpperLayerReplacesFilesAndKeepsTheRest() throws {
        let tree = try merge([
            [directory("./"), directory("./bin/"), file("./bin/tool"), file("./bin/old")],
            [file("bin/tool", 7), file("etc/app.d/default.cfg")],
        ])
        #expect(
            tree.table == ["bin": 0, "bin/tool": 1, "bin/old": 0, "etc": 1, "etc/app.d": 1, "etc/app.d/default.cfg": 1])
        #expect(tree["bin/tool"]?.node.kind == .file(sizeBytes: 7))
        #expect(tree.fileBytes == 9)
    }

    @Test func aWhiteoutHidesLowerLayersOnlyWhereverItStands() throws {
        let below = [directory("a"), file("a/one"), file("a/two"), directory("b"), file("b/x/deep")]
        for upper in [
            [whiteout("a/.wh.one"), file("a/one", 5), whiteout(".wh.b")],
            [file("a/one", 5), whiteout(".wh.b"), whiteout("a/.wh.one")],
        ] {
            #expect(try merge([below, upper]).table == ["a": 0, "a/one": 1, "a/two": 0])
        }
    }

    @Test func anOpaqueWhiteoutHidesAllChildrenButNotItsOwnLayers() throws {
        let tree = try merge([
            [directory("a"), directory("a/b"), file("a/b/c/bar")],
            [directory("a"), directory("a/b"), file("a/b/c/foo"), whiteout("a/.wh..wh..opq")],
        ])
        #expect(tree.table == ["a": 1, "a/b": 1, "a/b/c": 1, "a/b/c/foo": 1])
    }

    @Test func aWhiteoutOfNothingIsNothing() throws {
        #expect(
            try merge([[file("a")], [whiteout("x/y/.wh.z"), whiteout(".wh.q"), whiteout("x/.wh..wh..opq")]]).table == [
                "a": 0
            ])
    }

    @Test func aDirectoryOnADirectoryChangesItsAttributesOnly() throws {
        let tree = try merge([[directory("a", mode: 0o755), file("a/x")], [directory("a", mode: 0o700)]])
        #expect(tree.table == ["a": 1, "a/x": 0])
        #expect(tree["a"]?.node.mode == 0o700)
    }

    @Test func aFileOnADirectoryTakesAllOfItAway() throws {
        #expect(try merge([[file("a/b/c")], [file("a")]]).table == ["a": 1])
        #expect(try merge([[file("a")], [file("a/b")].map { $0 }].map { $0 }.reversed()).table == ["a": 1])
    }

    @Test func hardLinksShareOneFileEvenAcrossLayersAndOutliveTheirTarget() throws {
        let tree = try merge([[file("a", 9)], [hardLink("b", "./a"), hardLink("c", "b")], [whiteout(".wh.a")]])
        #expect(tree.table == ["b": 0, "c": 0])
        #expect(tree.fileBytes == 9)
        let planned = try #require(tree.plan.files[0]?[0])
        #expect(planned.paths.map(\.description) == ["/b", "/c"])
    }

    @Test func namesThatUnicodeCallsEqualStayTwoFiles() throws {
        let tree = try merge([[file("caf\u{e9}"), file("cafe\u{301}")]])
        #expect(tree.items.count { $0.layer == 0 && $0.entry >= 0 } == 2)
    }

    @Test func mountPointsAreMadeWhereTheyAreMissing() throws {
        let tree = try merge([[file("a")]])
        #expect(["dev", "proc", "sys"].allSatisfy { tree[$0]?.node.kind == .directory })
        #expect(try merge([]).items.count == 4)
    }

    @Test func theTableListsDirectoriesBeforeWhatIsInThem() throws {
        let tree = try merge([[file("a-b"), file("a/x"), file("a.c"), file("b")]])
        let paths = tree.items.map(\.path)
        #expect(paths == paths.sorted())
        #expect(paths.map(\.description).filter { $0.hasPrefix("/a") } == ["/a", "/a/x", "/a-b", "/a.c"])
    }

    @Test func setIDBitsAndCapabilitiesFollowThePolicy() throws {
        var capable = file("ping", mode: 0o755)
        capable.attributes = ["security.capability": [1, 2], "user.note": [3], "security.selinux": [4]]
        let layer = [file("su", mode: 0o4755), capable, directory("mail", mode: 0o2775)]
        let stripped = try merge([layer])
        #expect(stripped["su"]?.node.mode == 0o755)
        #expect(stripped["ping"]?.node.attributes == ["user.note": [3]])
        #expect(stripped["mail"]?.node.mode == 0o2775)
        #expect(stripped.strippedFiles == 2)
        let kept = try merge([layer], LayerRules(policy: LayerPolicy(setID: .keep)))
        #expect(kept["su"]?.node.mode == 0o4755)
        #expect(kept["ping"]?.node.attributes == ["security.capability": [1, 2], "user.note": [3]])
        for bad in layer.prefix(2) {
            #expect(throws: LayerRefusal.self) { try merge([[bad]], LayerRules(policy: LayerPolicy(setID: .refuse))) }
        }
    }
}
