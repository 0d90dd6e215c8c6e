import Decisions
import Testing

@testable import Firmware

private func validOption() throws -> LoadOption {
    let file = BootFile(
        partition: try #require(GUID("0f2a1d3c-9b7e-4c55-8a21-6e1d2b3c4d5e")), path: #"\EFI\BOOT\BOOTX64.EFI"#)
    let place = PartitionLocation(number: 1, startSector: 256, sectorCount: 131_072)
    return try #require(LoadOption(description: "Apus Recovery", file: file, location: place))
}

@Test func everyTruncationIsRefusedOrNamesNoOtherFile() throws {
    let option = try validOption()
    for count in 0..<option.bytes.count {
        let cut = LoadOption(bytes: Array(option.bytes.prefix(count)))
        #expect(cut == nil, "cut to \(count) bytes")
    }
}

@Test func everyFlippedByteIsSurvived() throws {
    let option = try validOption()
    for index in option.bytes.indices {
        for flip in [UInt8(0x01), 0x80, 0xff] {
            var bytes = option.bytes
            bytes[index] ^= flip
            let parsed = LoadOption(bytes: bytes)
            #expect((parsed?.description.unicodeScalars.count ?? 0) <= 128)
        }
    }
}

@Test func aHugeOptionIsRefused() throws {
    let option = try validOption()
    #expect(LoadOption(bytes: option.bytes + [UInt8](repeating: 0, count: 64 << 10)) == nil)
}

@Test func brokenUCS2AndControlCharactersAreCleaned() throws {
    // A lone surrogate, an escape character, and text; an empty device path.
    let units: [UInt16] = [0xd800, 0x1b, 0x41, 0x70, 0x07, 0x75, 0]
    let bytes: [UInt8] = [1, 0, 0, 0, 0, 0] + units.flatMap { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
    let option = try #require(LoadOption(bytes: bytes))
    #expect(option.description == "Apu")
    #expect(option.file == nil)
}

@Test func aNodeOfNoLengthDoesNotLoop() {
    let bytes: [UInt8] = [1, 0, 0, 0, 8, 0, 0x41, 0, 0, 0, 4, 4, 0, 0, 4, 4, 0, 0]
    #expect(LoadOption(bytes: bytes)?.file == nil)
}

@Test func aNetworkEntryNamesNoFile() throws {
    // MAC(525400123456) and the end, as firmware writes its PXE entries.
    let mac: [UInt8] = [3, 11, 37, 0, 0x52, 0x54, 0, 0x12, 0x34, 0x56] + [UInt8](repeating: 0, count: 26) + [1]
    let path = mac + [0x7f, 0xff, 4, 0]
    let option = try #require(LoadOption(bytes: [1, 0, 0, 0, UInt8(path.count), 0, 0x50, 0, 0, 0] + path))
    #expect(option.description == "P")
    #expect(option.file == nil)
    #expect(option.isActive)
}

@Test func textThatDoesNotFitIsRefused() throws {
    let partition = try #require(GUID("0f2a1d3c-9b7e-4c55-8a21-6e1d2b3c4d5e"))
    let place = PartitionLocation(number: 1, startSector: 256, sectorCount: 131_072)
    let long = BootFile(partition: partition, path: String(repeating: "\\x", count: 400))
    #expect(LoadOption(description: "Apus A", file: long, location: place) == nil)
    let plain = BootFile(partition: partition, path: "\\a")
    #expect(LoadOption(description: "", file: plain, location: place) == nil)
    #expect(LoadOption(description: "Äpus", file: plain, location: place) == nil)
}
