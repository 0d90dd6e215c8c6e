import Contract
import Foundation
import Store

/// A directory of a test's own, gone with the value.
final class ScratchDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-store-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

enum Sample {
    static func digest(_ byte: UInt8) throws -> Digest256 {
        guard let digest = Digest256(bytes: [UInt8](repeating: byte, count: 32)) else { throw StoreError("digest") }
        return digest
    }

    static func nodeID(_ letter: Character) throws -> NodeID {
        guard let id = NodeID(String(repeating: letter, count: 26)) else { throw StoreError("node id") }
        return id
    }

    static let inventory = Inventory(
        smbios: .init(manufacturer: "QEMU", product: "q35", serial: "S1", uuid: "u", assetTag: ""),
        architecture: .amd64, processor: "cpu", processorCount: 2, memoryBytes: 1 << 30, networkInterfaces: [],
        disks: [], usb: [], pci: [], hasTPM: false,
        firmware: .init(vendor: "EDK II", version: "1", secureBoot: false), clockSeconds: 0)

    static func node(_ letter: Character, key: UInt8, identity: String? = nil) throws -> NodeRecord {
        NodeRecord(
            id: try nodeID(letter), state: .pending, reason: "waits", keyDigest: try digest(key), identity: identity,
            labels: ["site": "lab"], inventory: inventory, registeredSeconds: 1000)
    }

    static func status() -> NodeStatus {
        NodeStatus(
            phase: .steady, runningSlot: .a, bootEntry: 3, startedByFirmware: true, committedSlot: .a,
            slots: [.a: SlotReport(state: "verified"), .b: SlotReport(state: "empty")], generation: 1,
            acknowledgedCommands: [], quarantined: [], lastUpgrade: nil, health: [], bootID: "boot",
            uptimeSeconds: 60, agentVersion: "1")
    }
}
