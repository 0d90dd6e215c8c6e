import Images
import TestSupport
import Testing

@Suite(.ownThreads) struct HostileEntryTests {
    struct Attack: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var reason: LayerRefusal.Reason
        var layers: [[LayerEntry]]

        init(_ name: String, _ reason: LayerRefusal.Reason, _ layers: [LayerEntry]...) {
            testDescription = name
            self.reason = reason
            self.layers = layers
        }
    }

    static func entry(_ path: String, _ kind: LayerEntry.Kind) -> LayerEntry {
        LayerEntry(path: Array(path.utf8), kind: kind)
    }
    static func owned(_ user: Int64, _ group: Int64) -> LayerEntry {
        LayerEntry(path: Array("f".utf8), kind: .file(sizeBytes: 0), user: user, group: group)
    }
    static func attributed(_ name: String, _ bytes: Int = 1) -> LayerEntry {
        LayerEntry(
            path: Array("f".utf8), kind: .file(sizeBytes: 0), attributes: [name: [UInt8](repeating: 1, count: bytes)])
    }

    static let attacks: [Attack] = [
        Attack("parent", .parentPath, [file("../etc/passwd")]),
        Attack("parent inside", .parentPath, [file("a/../../etc/passwd")]),
        Attack("parent harmless", .parentPath, [file("a/../b")]),
        Attack("absolute", .absolutePath, [file("/etc/passwd")]),
        Attack("empty", .badPath, [file("")]),
        Attack("long name", .badPath, [file(String(repeating: "x", count: 256))]),
        Attack("long path", .badPath, [file(String(repeating: "x/", count: 2048) + "x")]),
        Attack("deep path", .badPath, [file(String(repeating: "x/", count: 128) + "x")]),
        Attack("root is a file", .notADirectory, [file("./")]),
        Attack("root is a link", .notADirectory, [symbolicLink(".", "etc")]),
        Attack("hard link up", .badHardLink, [file("a"), hardLink("b", "../a")]),
        Attack("hard link absolute", .badHardLink, [file("a"), hardLink("b", "/a")]),
        Attack("hard link to nothing", .badHardLink, [hardLink("b", "etc/shadow")]),
        Attack("hard link to a directory", .badHardLink, [directory("d"), hardLink("b", "d")]),
        Attack("hard link to itself", .badHardLink, [file("a")], [hardLink("a", "a")]),
        Attack("hard link forwards", .badHardLink, [hardLink("a", "b"), file("b")]),
        Attack("hard link through a link", .throughLink, [symbolicLink("l", "/etc"), hardLink("b", "l/shadow")]),
        Attack("hard link hidden below", .badHardLink, [file("a")], [whiteout(".wh.a"), hardLink("b", "a")]),
        Attack("link up", .escapingLink, [symbolicLink("l", "../outside")]),
        Attack("link up from below", .escapingLink, [symbolicLink("a/b/l", "../../../outside")]),
        Attack("link down and up", .escapingLink, [symbolicLink("l", "a/../../outside")]),
        Attack("link to nothing", .escapingLink, [symbolicLink("l", "")]),
        Attack("file through a link", .throughLink, [symbolicLink("l", "/etc"), file("l/passwd")]),
        Attack("file through a lower link", .throughLink, [symbolicLink("l", "/etc")], [file("l/passwd")]),
        Attack("whiteout through a link", .throughLink, [symbolicLink("l", "/etc")], [whiteout("l/.wh.passwd")]),
        Attack("opaque through a link", .throughLink, [symbolicLink("l", "/")], [whiteout("l/x/.wh..wh..opq")]),
        Attack("file through a file", .throughFile, [file("a"), file("a/b")]),
        Attack("device", .deviceNode, [entry("dev/mem", .device)]),
        Attack("whiteout as overlayfs has it", .deviceNode, [entry("a", .device)]),
        Attack("socket", .unknownKind, [entry("s", .unknown)]),
        Attack("whiteout with bytes", .whiteoutTrick, [file(".wh.a", 1)]),
        Attack("whiteout that is a directory", .whiteoutTrick, [directory(".wh.a")]),
        Attack("whiteout that is a link", .whiteoutTrick, [symbolicLink(".wh.a", "b")]),
        Attack("whiteout that is a hard link", .whiteoutTrick, [file("a"), hardLink(".wh.b", "a")]),
        Attack("hard link to a whiteout", .whiteoutTrick, [whiteout(".wh.a"), hardLink("b", ".wh.a")]),
        Attack("whiteout of nothing", .whiteoutTrick, [whiteout("a/.wh.")]),
        Attack("whiteout of the directory", .whiteoutTrick, [whiteout("a/.wh..")]),
        Attack("whiteout of the parent", .whiteoutTrick, [whiteout("a/.wh...")]),
        Attack("whiteout of AUFS's", .whiteoutTrick, [whiteout(".wh..wh.plnk")]),
        Attack("below a whiteout", .whiteoutTrick, [file(".wh.a/b")]),
        Attack("overlay attribute", .overlayAttribute, [attributed("trusted.overlay.opaque")]),
        Attack("user overlay attribute", .overlayAttribute, [attributed("user.overlay.redirect")]),
        Attack("huge attribute", .tooManyAttributes, [attributed("user.x", 20_000)]),
        Attack("dev is a link", .notADirectory, [symbolicLink("dev", "etc")]),
        Attack("proc is a file", .notADirectory, [file("proc")]),
        Attack("sys becomes a link", .notADirectory, [directory("sys")], [symbolicLink("sys", "/tmp")]),
        Attack("dev is hidden and replaced", .notADirectory, [directory("dev")], [whiteout(".wh.dev"), file("dev")]),
        Attack("owner", .ownerOutOfRange, [owned(65_536, 0)]),
        Attack("group", .ownerOutOfRange, [owned(0, 4_294_967_295)]),
        Attack("negative owner", .ownerOutOfRange, [owned(-1, 0)]),
    ]

    @Test(arguments: attacks) func isRefusedWithItsReason(attack: Attack) {
        let refusal = #expect(throws: LayerRefusal.self) { try merge(attack.layers) }
        #expect(refusal?.reason == attack.reason)
    }

    @Test func linksThatStayInsideAreAccepted() throws {
        let tree = try merge([
            [
                symbolicLink("bin/sh", "/bin/busybox"), symbolicLink("lib", "usr/lib"),
                symbolicLink("a/b/l", "../../x"),
                symbolicLink("etc/mtab", "../proc/self/mounts"),
            ]
        ])
        #expect(tree.table.count == 8)
    }

    @Test func manyEntriesAreRefusedBeforeTheyAreKept() throws {
        var limits = ImageLimits()
        limits.entries = 100
        var budget = TreeBudget(limits: limits)
        for number in 0..<100 { try budget.take(file("\(number)")) }
        let refusal = #expect(throws: LayerRefusal.self) { try budget.take(file("x")) }
        #expect(refusal?.reason == .tooManyEntries)
    }

    @Test func bytesOfNamesAndFilesAreBounded() throws {
        var limits = ImageLimits()
        limits.nameBytes = 1000
        limits.unpackedBytes = 1000
        var names = TreeBudget(limits: limits)
        #expect(throws: LayerRefusal.self) {
            for number in 0..<20 { try names.take(symbolicLink("\(number)", String(repeating: "x", count: 100))) }
        }
        var bytes = TreeBudget(limits: limits)
        try bytes.take(file("a", 600))
        // The header of a sparse file costs nothing, and may claim anything.
        let refusal = #expect(throws: LayerRefusal.self) { try bytes.take(file("b", .max)) }
        #expect(refusal?.reason == .tooLarge)
    }

    @Test func shortPathsThatImplyManyDirectoriesAreBounded() {
        var limits = ImageLimits()
        limits.tableBytes = 1 << 20
        let entries = (0..<1000).map { file("\($0)/" + String(repeating: "x/", count: 100) + "f") }
        let refusal = #expect(throws: LayerRefusal.self) { try merge([entries], LayerRules(limits: limits)) }
        #expect(refusal?.reason == .tooManyEntries)
    }

    @Test func aRefusalIsSafeToPrint() {
        let refusal = LayerRefusal(.badPath, path: Array("a\u{1b}[31m\n\\".utf8) + [0xff])
        #expect(refusal.path == "a\\x1b[31m\\x0a\\x5c\\xff")
    }
}
