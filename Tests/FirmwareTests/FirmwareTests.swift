import Decisions
import Glibc
import Linux
import TestSupport
import Testing

@testable import Firmware

/// A folder that stands for efivarfs, removed at the end.
final class VariableFolder {
    let scratch: Scratch
    let variables: FirmwareVariables
    let boot: EFIBootVariables

    init() throws {
        scratch = try Scratch()
        variables = FirmwareVariables(directory: scratch.path)
        boot = EFIBootVariables(variables: variables) { _ in
            PartitionLocation(number: 2, startSector: 2048, sectorCount: 589_824)
        }
        try set("Lang", [0x65, 0x6e])
    }

    func set(_ name: String, _ value: [UInt8], vendor: String = EFIBootVariables.global) throws {
        try variables.write(value, to: name, vendor: vendor, attributes: 7)
    }

    /// efibootmgr and libefivar, pointed at this folder, as an independent reader.
    func efibootmgr(_ arguments: [String] = []) throws -> String {
        try run(
            "efibootmgr", arguments, environment: ["LIBEFIVAR_OPS": "efivarfs", "EFIVARFS_PATH": "\(scratch.path)/"])
    }
}

let partition = GUID("0f2a1d3c-9b7e-4c55-8a21-6e1d2b3c4d5e")
let slotA = partition.map {
    BootEntry(number: 0x1A, description: "Apus A", file: BootFile(partition: $0, path: #"\EFI\apus\apus.efi"#))
}

@Test func anEntryReadsBackAndEfibootmgrAgrees() throws {
    let folder = try VariableFolder()
    let entry = try #require(slotA)
    try folder.boot.apply(.write(entry))
    try folder.boot.apply(.setOrder([0x1A, 0x0003]))
    try folder.boot.apply(.setNext(0x1A))
    let snapshot = folder.boot.snapshot()
    #expect(snapshot.entries == [entry])
    #expect(snapshot.order == [0x1A, 3])
    #expect(snapshot.next == 0x1A)
    #expect(snapshot.isWritable)
    let listing = try folder.efibootmgr(["-v"])
    #expect(listing.contains("BootNext: 001A"))
    #expect(listing.contains("BootOrder: 001A,0003"))
    #expect(listing.contains("Boot001A* Apus A"))
    #expect(
        listing.contains("HD(2,GPT,0f2a1d3c-9b7e-4c55-8a21-6e1d2b3c4d5e,0x800,0x90000)/File(\\EFI\\apus\\apus.efi)"))
}

@Test func whatEfibootmgrChangesIsSeen() throws {
    let folder = try VariableFolder()
    try folder.boot.apply(.write(try #require(slotA)))
    try folder.boot.apply(.setOrder([0x1A]))
    _ = try folder.efibootmgr(["-b", "001A", "-A"])
    _ = try folder.efibootmgr(["-n", "001A"])
    #expect(folder.boot.snapshot().entries.first?.isActive == false)
    #expect(folder.boot.snapshot().next == 0x1A)
    _ = try folder.efibootmgr(["-b", "001A", "-B"])
    #expect(folder.boot.snapshot().entries.isEmpty)
}

@Test func removingWorksAndIsIdempotent() throws {
    let folder = try VariableFolder()
    try folder.boot.apply(.write(try #require(slotA)))
    try folder.boot.apply(.setNext(0x1A))
    for _ in 0..<2 {
        try folder.boot.apply(.delete(0x1A))
        try folder.boot.apply(.clearNext)
    }
    #expect(folder.boot.snapshot().entries.isEmpty)
    #expect(folder.boot.snapshot().next == nil)
}

@Test func anEqualValueIsNotWrittenAgain() throws {
    let folder = try VariableFolder()
    try folder.boot.apply(.setOrder([1, 2]))
    let path = folder.scratch.path + "/BootOrder-" + EFIBootVariables.global
    let before = Files.status(path)
    // A link in place of the file would be followed by a write and break; the inode shows that nothing was replaced.
    try Files.setMode(path, to: 0o444)
    try folder.boot.apply(.setOrder([1, 2]))
    #expect(Files.status(path)?.inode == before?.inode)
    #expect(Files.status(path)?.modifiedSeconds == before?.modifiedSeconds)
}

@Test func aShorterOrderReplacesALongerOne() throws {
    let folder = try VariableFolder()
    try folder.boot.apply(.setOrder([1, 2, 3, 4]))
    try folder.boot.apply(.setOrder([9]))
    #expect(folder.boot.snapshot().order == [9])
}

@Test func theStubsVariablesNameWhatWasBooted() throws {
    let folder = try VariableFolder()
    func utf16(_ text: String) -> [UInt8] {
        (Array(text.utf16) + [0]).flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    }
    try folder.set(
        "LoaderDevicePartUUID", utf16("11111111-2222-4333-8444-555555555555"), vendor: EFIBootVariables.loader)
    #expect(folder.boot.snapshot().stubPartition?.text == "11111111-2222-4333-8444-555555555555")
    try folder.set(
        "StubDevicePartUUID", utf16("0F2A1D3C-9B7E-4C55-8A21-6E1D2B3C4D5E"), vendor: EFIBootVariables.loader)
    try folder.set("StubImageIdentifier", utf16(#"\EFI\apus\apus.efi"#), vendor: EFIBootVariables.loader)
    try folder.set("BootCurrent", [0x1A, 0])
    let snapshot = folder.boot.snapshot()
    #expect(snapshot.stubPartition == partition)
    #expect(snapshot.stubPath == #"\EFI\apus\apus.efi"#)
    #expect(snapshot.current == 0x1A)
}

@Test func aMachineWithoutUEFIIsAbsentAndSaysWhy() {
    let boot = EFIBootVariables(variables: FirmwareVariables(directory: "/nowhere/efivars"))
    #expect(boot.snapshot() == .absent)
    #expect(throws: FirmwareError.unavailable) { try boot.apply(.clearNext) }
}

@Test(arguments: [
    (Int32(EROFS), "cannot be written"), (Int32(EACCES), "cannot be written"), (Int32(ENOSPC), "no room"),
    (Int32(EIO), "refuses"),
])
func failuresSayWhatToDo(code: Int32, words: String) {
    let error = FirmwareError(SystemError("write", "BootNext", code: code))
    #expect(error.description.contains(words))
    #expect(error.description.contains("firmware's setup") || error.description.contains("firmware update"))
}

@Test func aFullStoreIsToldApartAndLeavesNothingBehind() throws {
    // A file system of two pages, of which the other variables take one: what the kernel says there is what it says
    // of a full NVRAM.
    let folder = try VariableFolder()
    guard (try? Mounts.mount("tmpfs", on: folder.scratch.path, type: "tmpfs", options: "size=4k,mode=0700")) != nil
    else {
        // Without the privilege to mount, /dev/full gives the same answer to a write.
        let full = FirmwareError(SystemError("write", "/dev/full", code: ENOSPC))
        #expect(full.description.contains("no room"))
        return
    }
    defer { try? Mounts.unmount(folder.scratch.path) }
    try folder.set("Lang", [UInt8](repeating: 1, count: 100))
    do {
        try folder.boot.apply(.setNext(1))
        Issue.record("a full store took a variable")
    } catch {
        guard case .full = error else { throw error }
    }
    #expect(folder.boot.snapshot().next == nil)
    try Mounts.mount("tmpfs", on: folder.scratch.path, type: "tmpfs", flags: [.remount, .readOnly])
    do {
        try folder.boot.apply(.setNext(1))
        Issue.record("a read-only store took a variable")
    } catch {
        guard case .readOnly = error else { throw error }
    }
    #expect(!folder.boot.snapshot().isWritable)
}

@Test func anEntryForAnUnknownPartitionIsRefused() throws {
    let folder = try VariableFolder()
    let boot = EFIBootVariables(variables: folder.variables) { _ in nil }
    do {
        try boot.apply(.write(try #require(slotA)))
        Issue.record("an entry was made for a partition that is not there")
    } catch let error as FirmwareError {
        #expect(error.description.contains("0f2a1d3c-9b7e-4c55-8a21-6e1d2b3c4d5e"))
    }
}
