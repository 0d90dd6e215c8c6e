import Contract
import Decisions
import Firmware
import Release
import TestSupport
import Testing

@testable import Linux
@testable import Node
@testable import Slots

/// Everything that a machine reads from a network, a disk or a firmware, changed in thousands of ways that repeat
/// themselves in every run: it is refused or read, and never ends the program.
///
/// The signed envelope, the frame table and FAT volumes have tests of this kind beside their own.
@Suite(.ownThreads) struct HostileBytesTests {
    @Test(arguments: Sample.all.indices) func whatWasChangedIsRefusedOrRead(index: Int) throws {
        let sample = try Sample.all[index]()
        #expect(try sample.read(sample.bytes), "\(sample.name): as it was")
        var mutator = ByteMutator(seed: UInt64(index) + 1)
        var refused = 0
        for _ in 0..<sample.rounds {
            let bytes = mutator.change(sample.bytes)
            if (try? sample.read(bytes)) != true { refused += 1 }
        }
        #expect(refused > 0, "\(sample.name): nothing was ever refused")
    }
}

/// Valid bytes and what reads them.
private struct Sample {
    var name: String
    var bytes: [UInt8]
    var rounds = 400
    /// Whether the bytes were accepted; may throw instead.
    var read: ([UInt8]) throws -> Bool

    static var all: [() throws -> Sample] {
        messages.map { message in { message } } + [
            siteTrust, lease, leaseOption, networkArgument, commandLine, loadOption, superblock, manifest, record,
            table,
            kernelImage, uevent,
        ]
    }

    // MARK: JSON

    private static func json<Value: Codable>(_ value: Value) -> Sample {
        Sample(name: "\(Value.self)", bytes: (try? Wire.encode(value)) ?? []) {
            let read = try Wire.decode(Value.self, from: $0)
            // What was accepted must also be fit to be handed on.
            _ = try Wire.decode(Value.self, from: try Wire.encode(read))
            return true
        }
    }

    private static let digest = Digest256(hashing: Array("x".utf8))
    private static let inventory = Inventory(
        smbios: Inventory.SMBIOS(manufacturer: "m", product: "p", serial: "s", uuid: "u", assetTag: ""),
        architecture: .amd64, processor: "x", processorCount: 4, memoryBytes: 1 << 30,
        networkInterfaces: [
            Inventory.NetworkInterface(name: "e", address: "52:54:00:12:34:56", driver: "d", path: "0", hasLink: true)
        ], disks: [], usb: [Inventory.USBDevice(path: "1-1", id: "1:2", product: "", serial: "")], pci: [],
        hasTPM: true, firmware: Inventory.FirmwareFacts(vendor: "v", version: "1", secureBoot: false),
        clockSeconds: 1)

    private static var messages: [Sample] {
        [
            json(
                RegistrationRequest(
                    certificateRequest: "PEM", commitment: digest, token: "t", inventory: inventory,
                    bootArtifactVersion: "1")),
            json(RegistrationReply(registrationID: "r", secret: "s", serverNonce: "00", clockSeconds: 1)),
            json(RegistrationReveal(nodeNonce: "00")),
            json(RegistrationStatus(state: .admitted, reason: "x", nodeID: NodeID(String(repeating: "1", count: 26)))),
            json(
                DesiredState(
                    generation: 2, release: digest, releaseVersion: "1", commands: [NodeCommand(id: "c", kind: .reboot)]
                )),
            json(
                NodeStatus(
                    phase: .steady, runningSlot: .a, bootEntry: 1, startedByFirmware: true, committedSlot: .a,
                    slots: [.a: SlotReport(state: "verified", release: digest, version: "1")], generation: 1,
                    acknowledgedCommands: ["c"], quarantined: [QuarantinedRelease(release: digest, reason: "r")],
                    lastUpgrade: UpgradeOutcome(release: digest, version: "1", result: .committed, reason: ""),
                    health: [CheckResult(name: "n", passed: true, detail: "")], bootID: "b", uptimeSeconds: 1,
                    agentVersion: "1")),
        ]
    }

    private static func siteTrust() throws -> Sample {
        let trust = SiteTrust(
            endpoint: "https://a:1", caCertificate: "PEM",
            releaseKeys: [ReleaseKey(keytype: "ed25519", scheme: "ed25519", public: "00")], threshold: 1, token: "t",
            network: NetworkSettings(
                interfaces: ["52:54:00:12:34:56"], dhcp: false, addresses: ["192.0.2.7/24"], gateway: "192.0.2.1",
                nameServers: ["192.0.2.53"], vlan: 12, bondMode: "802.3ad", proxy: "http://192.0.2.9:3128"),
            clockFloorSeconds: 1)
        return Sample(name: "apus.json", bytes: try Wire.encode(trust)) {
            let read = try TrustSources.join(medium: SiteTrustFile.decode($0, source: "a test"), artifact: nil)
            if let endpoint = read.endpoint { _ = try Endpoint.checked(endpoint, source: "a test") }
            return (1...max(1, read.releaseKeys.count)).contains(read.threshold)
        }
    }

    private static func manifest() throws -> Sample {
        let file = Manifest.File(bytes: 4096, sha256: digest)
        let document = try Manifest.document(
            version: 1, expiresSeconds: 2_000_000_000, product: "apus", releaseVersion: "1", epoch: 0,
            architecture: .amd64, root: Manifest.Root(blocks: 2, rootHash: digest, salt: [1, 2], treeBytes: 8192),
            uki: file, boot: file, frames: file, packBytes: 5000)
        return Sample(name: "manifest", bytes: document.encoded) {
            let manifest = try Manifest(validating: try JSONValue(parsing: $0, limit: WireLimit.manifest))
            return manifest.root.bytes == manifest.root.blocks * 4096
        }
    }

    // MARK: Text

    private static func text(_ name: String, _ text: String, _ read: @escaping (String) throws -> Bool) -> Sample {
        Sample(name: name, bytes: Array(text.utf8)) { try read(String(decoding: $0, as: UTF8.self)) }
    }

    private static func lease() -> Sample {
        text("lease", "interface=eth0\naddress=10.0.0.7/20\nrouter=10.0.0.1\ndns=10.0.0.53\nlease=3600\n") {
            guard let lease = Lease(encoded: $0) else { return false }
            return IPAddress.isPrefixed(lease.address) && Lease.isInterfaceName(lease.interface)
        }
    }

    private static func leaseOption() -> Sample {
        text("DHCP option", "68747470733a2f2f617075732e6578616d706c653a3834343300") { digits in
            let lease = Lease(environment: [
                "interface": "eth0", "ip": "10.0.0.7", "subnet": digits, "router": digits, "dns": digits,
                "lease": digits, "opt224": digits,
            ])
            guard let endpoint = lease?.endpoint else { return false }
            return endpoint.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
        }
    }

    private static func networkArgument() -> Sample {
        text("apus.network", "address=192.0.2.7/24,gateway=192.0.2.1,dns=192.0.2.53,vlan=12,proxy=http://192.0.2.9:3") {
            let settings = try NetworkArgument.parse($0)
            return try NetworkRules.checked(settings, source: "a test") == settings
        }
    }

    private static func commandLine() -> Sample {
        let line = "quiet apus.mode=slot apus.root=\(digest) apus.salt=0102 apus.blocks=2 apus.version=1 apus.slot=a"
        return text("command line", line) {
            guard case .slot(let image) = try BootArguments(commandLine: $0).mode else { return false }
            return image.blocks > 0 && image.salt.count <= 256
        }
    }

    // MARK: Bytes

    private static func loadOption() throws -> Sample {
        let partition = try #require(GUID("11111111-1111-4111-8111-111111111111"))
        let option = try #require(
            LoadOption(
                description: "Apus A", file: BootFile(partition: partition, path: BootNames.slotPath),
                location: PartitionLocation(number: 2, startSector: 2048, sectorCount: 4096)))
        return Sample(name: "load option", bytes: option.bytes, rounds: 2000) {
            guard let read = LoadOption(bytes: $0) else { return false }
            return read.description.unicodeScalars.allSatisfy { $0.value >= 0x20 }
                && (read.file?.path.count ?? 0) <= 512
        }
    }

    private static func superblock() -> Sample {
        Sample(name: "superblock", bytes: VeritySuperblock(dataBlocks: 2, salt: [1, 2, 3]).encoded) {
            try VeritySuperblock(parsing: $0).dataBlocks > 0
        }
    }

    private static func uevent() -> Sample {
        Sample(name: "uevent", bytes: Array("add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=usb\0".utf8)) {
            Uevent(message: $0) != nil
        }
    }

    /// The payload of a boot record, under a checksum that is right.
    private static func record() throws -> Sample {
        let installed = InstalledRelease(
            release: digest, version: "1", epoch: 1, architecture: .amd64, rootHash: digest, salt: [1], blocks: 2,
            ukiDigest: digest, ukiBytes: 4096)
        var record = BootRecord.provisioning(release: digest, site: digest, keeping: nil, keepsState: true)
        for slot in SlotName.allCases { try record.markVerified(slot, installed) }
        try record.commitProvisioned(.a, generation: 1)
        try record.startTrial(.b, rule: ProbationRule())
        return Sample(name: "boot record", bytes: try Wire.encode(record), rounds: 1000) {
            let device = MemoryDevice(bytes: [UInt8](repeating: 0, count: 1 << 20))
            let copy = BootRecordStore.copy($0, sequence: 1)
            try copy.withUnsafeBytes { try device.write($0, at: 0) }
            let read = try BootRecordStore(device).read()
            return read != nil && read?.brokenInvariant == nil
        }
    }

    /// A partition table's header and entries, under checksums that are right.
    private static func table() throws -> Sample {
        func little(_ value: UInt64, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
        }
        let sectors: UInt64 = 256
        let header =
            Array("EFI PART".utf8) + little(0x10000, 4) + little(92, 4) + little(0, 8) + little(1, 8)
            + little(sectors - 1, 8) + little(34, 8) + little(sectors - 34, 8) + [UInt8](repeating: 7, count: 16)
            + little(2, 8) + little(128, 4) + little(128, 4) + little(0, 4)
        let entries = (0..<3).flatMap { (index: UInt64) in
            [UInt8](repeating: 5, count: 16) + [UInt8](repeating: UInt8(index) + 1, count: 16)
                + little(40 + index * 20, 8) + little(50 + index * 20, 8) + little(0, 8)
                + Array("a\0p\0u\0s\0".utf8) + [UInt8](repeating: 0, count: 64)
        }
        return Sample(name: "partition table", bytes: header + entries) { changed in
            let bytes = Array((changed + [UInt8](repeating: 0, count: 512)).prefix(512))
            let device = MemoryDevice(bytes: [UInt8](repeating: 0, count: Int(sectors) * 512))
            let padded = Array(bytes[92...]) + [UInt8](repeating: 0, count: 128 * 128 - 420)
            var header = Array(bytes[..<92])
            header.replaceSubrange(88..<92, with: little(UInt64(CRC32.of(padded)), 4))
            header.replaceSubrange(16..<20, with: [0, 0, 0, 0])
            header.replaceSubrange(16..<20, with: little(UInt64(CRC32.of(header)), 4))
            let sector = header + [UInt8](repeating: 0, count: 420)
            try sector.withUnsafeBytes { try device.write($0, at: 512) }
            try padded.withUnsafeBytes { try device.write($0, at: 1024) }
            guard let table = try PartitionTable(of: device) else { return false }
            return table.partitions.allSatisfy {
                $0.sizeBytes > 0 && $0.startBytes <= device.sizeBytes
                    && $0.sizeBytes <= device.sizeBytes - $0.startBytes
            }
        }
    }

    /// The headers of a kernel image with two sections.
    private static func kernelImage() -> Sample {
        func little(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let zeros = { (count: Int) in [UInt8](repeating: 0, count: count) }
        let line = Array("apus.mode=provision".utf8)
        var bytes = Array("MZ".utf8) + zeros(58) + little(64, 4) + Array("PE\0\0".utf8) + little(0x8664, 2)
        bytes += little(2, 2) + zeros(12) + zeros(4)
        for (name, place) in [(".linux\0\0", 256), (".cmdline", 288)] {
            bytes += Array(name.utf8) + little(line.count, 4) + zeros(4) + little(32, 4) + little(place, 4) + zeros(16)
        }
        bytes += zeros(256 - bytes.count) + line + zeros(32 - line.count) + line + zeros(32 - line.count)
        return Sample(name: "kernel image", bytes: bytes, rounds: 2000) { changed in
            let image = try UnifiedKernelImage(MemoryBytes(changed))
            _ = try image.commandLine()
            return image.sections.allSatisfy { $0.sizeBytes == 0 || $0.offset + $0.sizeBytes <= UInt64(changed.count) }
        }
    }
}

/// A device in memory.
private final class MemoryDevice: BlockDevice {
    private var bytes: [UInt8]
    let sectorSizeBytes = 512
    var sizeBytes: UInt64 { UInt64(bytes.count) }

    init(bytes: [UInt8]) { self.bytes = bytes }

    private func range(_ offset: UInt64, _ count: Int) throws -> Range<Int> {
        guard offset <= sizeBytes, UInt64(count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: count, sizeBytes: sizeBytes)
        }
        return Int(offset)..<Int(offset) + count
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        buffer.copyBytes(from: bytes[try range(offset, buffer.count)])
    }

    func write(_ piece: UnsafeRawBufferPointer, at offset: UInt64) throws {
        bytes.replaceSubrange(try range(offset, piece.count), with: piece)
    }

    func flush() {}
}
