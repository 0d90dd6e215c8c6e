import Contract
import Decisions
import Foundation
import Linux
import TestSupport
import Testing

@testable import Slots

/// The record survives a power cut at any write, and nothing but a record is taken for one.
@Suite struct BootRecordStoreTests {
    let folder: Scratch
    let device: FileBlockDevice
    init() throws {
        folder = try Scratch()
        device = try folder.device("record", 1 << 20)
    }

    private func record(_ generation: Int) throws -> BootRecord {
        let json = #"{"format":1,"planGeneration":\#(generation),"fieldOfTheFuture":{"kept":[1,true,"x"]}}"#
        return try Wire.decode(BootRecord.self, from: Array(json.utf8))
    }

    @Test func aBlankPartitionHoldsNoRecord() throws {
        #expect(try BootRecordStore(device).read() == nil)
    }

    @Test func garbageIsNotARecord() throws {
        try noise(1 << 20, seed: 3).withUnsafeBytes { try device.write($0, at: 0) }
        #expect(try BootRecordStore(device).read() == nil)
        try BootRecordStore(device).write(record(1))
        #expect(try BootRecordStore(device).read()?.planGeneration == 1)
    }

    @Test(arguments: [512, 4096]) func theNewestCopyIsReadAndUnknownFieldsAreKept(sector: Int) throws {
        let device = try folder.device("record-\(sector)", 1 << 20, sector: sector)
        let store = try BootRecordStore(device)
        for generation in 1...5 {
            try store.write(record(generation))
            #expect(try BootRecordStore(device).read() == record(generation))
        }
        #expect(String(decoding: try device.readBytes(at: 0, count: 4096), as: UTF8.self).contains("fieldOfTheFuture"))
    }

    @Test func aDamagedNewestCopyGivesTheOneBefore() throws {
        let store = try BootRecordStore(device)
        for generation in 1...4 { try store.write(record(generation)) }
        var damaged = try device.readBytes(at: BootRecordStore.copyOffsets[1], count: 512)
        damaged[100] ^= 1
        try damaged.withUnsafeBytes { try device.write($0, at: BootRecordStore.copyOffsets[1]) }
        #expect(try store.read()?.planGeneration == 3)
        try store.write(record(5))
        #expect(try store.read()?.planGeneration == 5)
        try store.write(record(6))
        #expect(try store.read()?.planGeneration == 6)
    }

    @Test func aTornWriteLeavesTheRecordBefore() throws {
        let store = try BootRecordStore(device)
        for generation in 1...3 { try store.write(record(generation)) }
        for tornBytes in stride(from: 0, through: 512, by: 64) {
            let before = try #require(try store.read()).planGeneration
            let older = BootRecordStore.copyOffsets[before.isMultiple(of: 2) ? 0 : 1]
            var torn = try device.readBytes(at: older, count: 4096)
            torn.replaceSubrange(0..<tornBytes, with: noise(tornBytes, seed: UInt64(tornBytes)))
            try torn.withUnsafeBytes { try device.write($0, at: older) }
            #expect(try store.read()?.planGeneration == before)
            try store.write(record(before + 1))
            #expect(try store.read()?.planGeneration == before + 1)
        }
    }

    @Test func aPowerCutLeavesOneRecordOrTheOther() throws {
        try BootRecordStore(device).write(record(1))
        try BootRecordStore(device).write(record(2))
        for writes in 0...1 {
            let before = try #require(try BootRecordStore(device).read()).planGeneration
            let cut = CutDevice(device, fuse: CutDevice.Fuse(writes))
            _ = try? BootRecordStore(cut).write(record(before + 1))
            try cut.losePower()
            let after = try #require(try BootRecordStore(device).read()).planGeneration
            #expect(after == before || after == before + 1)
        }
    }

    @Test func aRecordOfANewerProgramIsNotOverwrittenByAnOlderCopy() throws {
        let store = try BootRecordStore(device)
        try store.write(record(1))
        let payload = Array(#"{"format":9}"#.utf8)
        try write(payload, sequence: 7, at: BootRecordStore.copyOffsets[1])
        #expect(throws: RecordStoreError.self) { try store.read() }
    }

    @Test func anErasedRecordIsGone() throws {
        let store = try BootRecordStore(device)
        try store.write(record(1))
        try store.write(record(2))
        try store.erase()
        #expect(try store.read() == nil)
    }

    @Test func aPartitionThatIsTooSmallIsRefused() throws {
        let small = try folder.device("small", 4096)
        #expect(throws: RecordStoreError.tooSmall(4096)) { try BootRecordStore(small) }
    }

    private func write(_ payload: [UInt8], sequence: UInt64, at offset: UInt64) throws {
        try BootRecordStore.copy(payload, sequence: sequence).withUnsafeBytes { try device.write($0, at: offset) }
    }
}
