import Contract
import Foundation
import Testing

@testable import Lab

@Suite struct NVRAMTests {
    /// A fresh store as the firmware's package brings it, so that the real format is what is tested.
    private func fresh() throws -> NVRAM { try NVRAM(path: "/usr/share/OVMF/OVMF_VARS_4M.fd") }

    private func option(_ description: String, partition: [UInt8], path: String) -> [UInt8] {
        var node: [UInt8] = [4, 1, 42, 0] + UInt32(2).littleEndianBytes + UInt64(2048).littleEndianBytes
        node += UInt64(4096).littleEndianBytes + partition + [2, 2]
        let text = path.utf16.flatMap(\.littleEndianBytes) + [0, 0]
        node += [4, 4] + UInt16(4 + text.count).littleEndianBytes + text + [0x7f, 0xff, 4, 0]
        return UInt32(1).littleEndianBytes + UInt16(node.count).littleEndianBytes
            + description.utf16.flatMap(\.littleEndianBytes) + [0, 0] + node
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var variables = try fresh()
        let partition = [UInt8](0..<16)
        variables.set("Boot0007", to: option("Apus A", partition: partition, path: #"\EFI\apus\apus.efi"#))
        variables.setBootOrder([7, 2])
        variables.setBootNext(7)
        let path = NSTemporaryDirectory() + "/nvram-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try variables.write(to: path)

        let again = try NVRAM(path: path)
        #expect(again.bootOrder == [7, 2])
        #expect(again.bootNext == 7)
        let entry = try #require(again.bootEntries.first)
        #expect(entry.number == 7)
        #expect(entry.description == "Apus A")
        #expect(entry.partition == "03020100-0504-0706-0809-0a0b0c0d0e0f")
        #expect(entry.path == #"\EFI\apus\apus.efi"#)
        #expect(entry.isActive)
    }

    @Test func removedEntriesLeaveTheOrderToo() throws {
        var variables = try fresh()
        for (number, name) in [("Boot0001", "Apus A"), ("Boot0002", "PXE")] {
            variables.set(number, to: option(name, partition: [UInt8](repeating: 1, count: 16), path: "x"))
        }
        variables.setBootOrder([1, 2])
        variables.removeBootEntries { $0.description.hasPrefix("Apus") }
        #expect(variables.bootEntries.map(\.description) == ["PXE"])
        #expect(variables.bootOrder == [2])
    }

    @Test func otherFilesAreRefused() {
        #expect(throws: LabError.self) { try NVRAM(bytes: [UInt8](repeating: 0, count: 4096)) }
    }
}
