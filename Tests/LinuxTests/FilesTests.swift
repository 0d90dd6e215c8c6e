import Glibc
import Linux
import TestSupport
import Testing

@Test func errorsNameOperationPathAndReason() {
    #expect(throws: SystemError("open", "/nowhere/at all", code: ENOENT)) { try Files.read("/nowhere/at all") }
    let error = SystemError("mount", "/x", code: -EBUSY, detail: "unmount it first")
    #expect(error.description == "cannot mount '/x': Device or resource busy (unmount it first)")
}

@Test func aReadBeyondItsLimitIsRefused() throws {
    let scratch = try Scratch()
    let path = try scratch.file("big", [UInt8](repeating: 7, count: 1000))
    #expect(try Files.read(path, limitBytes: 1000).count == 1000)
    do {
        _ = try Files.read(path, limitBytes: 999)
        Issue.record("1000 bytes were read with a limit of 999")
    } catch {
        #expect(error.code == EFBIG)
        #expect(error.description.contains("999"))
    }
    #expect(try Files.readPrefix(path, bytes: 10).count == 10)
}

@Test func aDurableWriteIsOwnerOnlyReplacesAndLeavesNothingBeside() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/secret"
    // What a power cut left of an earlier attempt, with a mode that must not survive.
    try scratch.file("secret.new", "half")
    try Files.setMode(path + ".new", to: 0o666)
    try Files.writeDurably(Array("one".utf8), to: path)
    try Files.writeDurably(Array("two\n".utf8), to: path)
    #expect(try Files.readText(path) == "two")
    #expect(Files.status(path)?.mode == 0o600)
    #expect(try Files.list(scratch.path) == ["secret"])
}

@Test func aDurableWriteThatFailsKeepsTheOldContent() throws {
    let scratch = try Scratch()
    let path = try scratch.file("kept", "old")
    // A folder stands where the temporary file would be made.
    try Files.makeDirectory(path + ".new/x")
    #expect(throws: SystemError.self) { try Files.writeDurably(Array("new".utf8), to: path) }
    #expect(try Files.readText(path) == "old")
}

@Test func removingATreeDoesNotFollowLinks() throws {
    let scratch = try Scratch()
    let outside = try scratch.file("outside/file", "stays")
    try scratch.file("tree/a/b/c", "goes")
    try Files.link(scratch.path + "/tree/a/link", to: scratch.path + "/outside")
    try Files.removeTree(scratch.path + "/tree")
    #expect(!Files.exists(scratch.path + "/tree"))
    #expect(try Files.readText(outside) == "stays")
    try Files.removeTree(scratch.path + "/tree")
}

@Test(.enabled(if: getuid() == 0, "mounting needs root"))
func removingATreeDoesNotEnterOtherFileSystems() throws {
    let scratch = try Scratch()
    let mounted = scratch.path + "/tree/mounted"
    do {
        try Mounts.mount("tmpfs", on: mounted, type: "tmpfs", options: "size=64k")
    } catch {
        // Root in a container may not mount; there is no other file system to enter then.
        return
    }
    defer { try? Mounts.unmount(mounted) }
    #expect(Mounts.isMounted(mounted))
    try Files.writeDurably([1], to: mounted + "/stays")
    try scratch.file("tree/goes", "")
    #expect(throws: SystemError.self) { try Files.removeTree(scratch.path + "/tree") }
    #expect(Files.exists(mounted + "/stays"))
    #expect(!Files.exists(scratch.path + "/tree/goes"))
    try Mounts.unmount(mounted)
    #expect(!Mounts.isMounted(mounted))
}

@Test func listsAreSortedAndBounded() throws {
    let scratch = try Scratch()
    for name in ["c", "a", "b"] { try scratch.file(name, "") }
    #expect(try Files.list(scratch.path) == ["a", "b", "c"])
    #expect(throws: SystemError.self) { try Files.list(scratch.path, limit: 2) }
}

@Test func linksAreReplacedInOneStep() throws {
    let scratch = try Scratch()
    let link = scratch.path + "/link"
    try Files.link(link, to: "one")
    try Files.link(link, to: "two")
    #expect(try Files.readLink(link) == "two")
    #expect(Files.exists(link))
    #expect(Files.status(link) == nil)
}

@Test func onlyOneProgramHoldsALock() throws {
    let scratch = try Scratch()
    let path = try scratch.file("lock", "")
    let first = try OwnedDescriptor(opening: path, [.read, .write])
    let second = try OwnedDescriptor(opening: path, [.read, .write])
    #expect(try first.lockExclusively())
    #expect(try !second.lockExclusively())
    try first.close()
    #expect(try second.lockExclusively())
}

@Test func closingReportsWhatTheKernelSays() throws {
    let error = #expect(throws: SystemError.self) {
        try OwnedDescriptor(adopting: 1 << 20, path: "stale").close()
    }
    #expect(error?.code == EBADF)
}

@Test func identifiersReadInBothForms() throws {
    let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
    let uuid = try #require(StoredUUID(text.uppercased()))
    #expect(uuid.description == text)
    // The bytes of an EFI system partition's type as they stand in a GPT.
    #expect(
        uuid.storedBytes == [
            0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
        ])
    #expect(StoredUUID(storedBytes: uuid.storedBytes) == uuid)
    #expect(StoredUUID("c12a7328f81f11d2ba4b00a0c93ec93b") == nil)
    #expect(StoredUUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93") == nil)
    #expect(StoredUUID("+12a7328-f81f-11d2-ba4b-00a0c93ec93b") == nil)
    let random = try Randomness.uuid()
    #expect(StoredUUID(random)?.description == random)
    #expect(random.dropFirst(14).first == "4")
}

@Test(arguments: [
    ("  To Be\tFilled\u{0} By\u{1b}[31m O.E.M.  ", "To Be Filled By[31m O.E.M."), ("\u{202e}abc\u{feff}", "abc"),
    ("", ""), ("\u{fffd}\u{fffd}", ""), ("Müller GmbH", "Müller GmbH"),
])
func firmwareTextIsCleaned(raw: String, cleaned: String) { #expect(Text.clean(raw) == cleaned) }

@Test func firmwareTextIsCut() {
    #expect(Text.clean(String(repeating: "x", count: 1000)).count == 128)
    #expect(Text.clean("ab  cd", limit: 3) == "ab ")
}
