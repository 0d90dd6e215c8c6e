import Contract
import Decisions

/// How a node is to be installed, read from its labels: those that begin with `apus.` are the server's own.
///
/// Labels come from the join token or from an operator, so that they can stand before a machine is ever switched on.
struct PlanOptions: Equatable {
    var disk = DiskRule()
    var layout = DiskLayout.standard
    var handOver = HandOver.reboot

    /// A label that does not say what it should.
    struct Problem: Error, Equatable {
        var message: String
    }

    /// Reads the labels; throws `Problem` for an `apus.` label that is unknown or has an impossible value.
    init(labels: [String: String]) throws(Problem) {
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) where name.hasPrefix("apus.") {
            try apply(name, value)
        }
        try checkSizes()
    }

    /// Refuses sizes that no disk could ever meet, before a machine is sent to try.
    private func checkSizes() throws(Problem) {
        let largest = disk.maximumSizeBytes ?? UInt64.max
        if let least = disk.minimumSizeBytes, least > largest {
            throw Problem(
                message:
                    "labels 'apus.disk.minimum-bytes' and 'apus.disk.maximum-bytes' leave no disk: \(least) is more "
                    + "than \(largest)")
        }
        let needed = PartitionPlanner.requiredBytes(layout)
        guard needed <= largest else {
            throw Problem(
                message: "the partitions need \(needed) bytes, more than label 'apus.disk.maximum-bytes' allows: plan "
                    + "smaller ones by labels 'apus.layout…', or a larger disk")
        }
        // FAT32 with the usual sectors of 512 bytes; larger sectors are the node's to judge, which knows its disk.
        let least = PartitionPlanner.leastFATBytes(sectorSizeBytes: 512)
        for (name, bytes) in [("boot", layout.bootBytes), ("recovery", layout.recoveryBytes)] where bytes < least {
            throw Problem(message: "label 'apus.layout.\(name)-bytes' is at least \(least), which FAT32 needs")
        }
    }

    private mutating func apply(_ name: String, _ value: String) throws(Problem) {
        switch name {
        case "apus.disk.serial": disk.serial = value
        case "apus.disk.model": disk.model = value
        case "apus.disk.transports": disk.transports = try transports(name, value)
        case "apus.disk.minimum-bytes": disk.minimumSizeBytes = try bytes(name, value)
        case "apus.disk.maximum-bytes": disk.maximumSizeBytes = try bytes(name, value)
        case "apus.disk.overwrite": disk.overwriteForeignData = try flag(name, value)
        case "apus.layout.root-bytes": layout.rootBytes = try bytes(name, value)
        case "apus.layout.tree-bytes": layout.treeBytes = try bytes(name, value)
        case "apus.layout.boot-bytes": layout.bootBytes = try bytes(name, value)
        case "apus.layout.recovery-bytes": layout.recoveryBytes = try bytes(name, value)
        case "apus.layout.minimum-state-bytes": layout.minimumStateBytes = try bytes(name, value)
        case "apus.hand-over":
            guard let way = HandOver(rawValue: value) else {
                throw Problem(message: "label '\(name)' is one of reboot, kexec and power-off")
            }
            handOver = way
        default: throw Problem(message: "label '\(name)' is unknown; labels that begin with 'apus.' have set meanings")
        }
    }

    private func bytes(_ name: String, _ value: String) throws(Problem) -> UInt64 {
        guard let number = UInt64(value), (1 << 20...1 << 50).contains(number), number % (1 << 20) == 0 else {
            throw Problem(message: "label '\(name)' is a size in bytes, a multiple of 1048576")
        }
        return number
    }

    private func flag(_ name: String, _ value: String) throws(Problem) -> Bool {
        switch value {
        case "yes", "true": return true
        case "no", "false": return false
        default: throw Problem(message: "label '\(name)' is 'yes' or 'no'")
        }
    }

    private func transports(_ name: String, _ value: String) throws(Problem) -> [String] {
        let known: Set = ["nvme", "sata", "sas", "scsi", "virtio", "mmc", "usb", "other"]
        let names = value.split(separator: ",").map(String.init)
        guard !names.isEmpty, names.allSatisfy(known.contains) else {
            throw Problem(message: "label '\(name)' lists some of \(known.sorted().joined(separator: ", "))")
        }
        return names
    }
}

/// The bounds of labels.
enum LabelRule {
    /// Why labels are not acceptable, as a sentence; nil where they are.
    static func problem(_ labels: [String: String]) -> String? {
        guard labels.count <= 64 else { return "a node has at most 64 labels" }
        for (name, value) in labels {
            guard (1...63).contains(name.utf8.count), name.utf8.allSatisfy(isNameByte) else {
                return
                    "label '\(CleanText.line(name, limit: 80))' is no name: 1 to 63 characters of a-z, 0-9, '.', '-', "
                    + "'_' and '/'"
            }
            guard value.utf8.count <= 255, value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
            else {
                return "the value of label '\(name)' is longer than 255 bytes or has control characters"
            }
        }
        do {
            _ = try PlanOptions(labels: labels)
            return nil
        } catch {
            return error.message
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: ".-_/".utf8.contains(byte)
        }
    }
}
