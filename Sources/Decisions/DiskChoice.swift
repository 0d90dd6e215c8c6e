public import Contract

/// Chooses the disk to install on, by the plan's rule.
public enum DiskChoice {
    /// No disk fits; the sentence says why for each.
    public struct NoneFits: Error, Sendable, Equatable, CustomStringConvertible {
        /// The sentence.
        public var description: String
    }

    /// The smallest disk that fits, and among equals the first by transport, serial number and name.
    ///
    /// - Parameters:
    ///   - disks: The machine's disks.
    ///   - rule: The plan's rule.
    ///   - requiredBytes: The least size that the plan's layout needs.
    ///   - installed: The disk that carries this node's own installation; its content is not foreign, and it comes
    ///     first where it fits, so that a node that is provisioned again keeps its disk.
    ///   - isForeignSite: Whether that installation is another site's, whose data only the plan may give up.
    public static func choose(
        among disks: [Inventory.Disk], by rule: DiskRule, requiredBytes: UInt64, installed: String? = nil,
        isForeignSite: Bool = false
    ) throws(NoneFits) -> Inventory.Disk {
        var refusals: [String] = []
        var fitting: [Inventory.Disk] = []
        for disk in disks {
            let isOwn = disk.name == installed && !isForeignSite
            if let reason = objection(to: disk, by: rule, requiredBytes: requiredBytes, isOwn: isOwn) {
                refusals.append("\(disk.name) \(reason)")
            } else {
                fitting.append(disk)
            }
        }
        if !isForeignSite, let own = fitting.first(where: { $0.name == installed }) { return own }
        func rank(_ disk: Inventory.Disk) -> (UInt64, String, String, String) {
            (disk.sizeBytes, disk.transport, disk.serial, disk.name)
        }
        if let best = fitting.min(by: { rank($0) < rank($1) }) { return best }
        throw NoneFits(
            description: disks.isEmpty
                ? "this machine has no disk; check its cabling, or whether its driver is in the boot artifact"
                : "no disk fits the plan's rule: \(refusals.joined(separator: "; ")); change the rule or the disk")
    }

    /// Why a disk is not taken, as the end of a sentence, or nil where it may be.
    static func objection(
        to disk: Inventory.Disk, by rule: DiskRule, requiredBytes: UInt64, isOwn: Bool
    ) -> String? {
        if disk.isBootMedium { return "is the medium that this program was started from" }
        if disk.isRemovable { return "is removable" }
        if rule.transports.isEmpty ? disk.transport == "usb" : !rule.transports.contains(disk.transport) {
            let wanted = rule.transports.isEmpty ? "any but usb" : rule.transports.joined(separator: ", ")
            return "is attached by \(disk.transport), not \(wanted)"
        }
        if ![512, 4096].contains(disk.sectorSizeBytes) { return "has sectors of \(disk.sectorSizeBytes) bytes" }
        let least = max(rule.minimumSizeBytes ?? 0, requiredBytes)
        if disk.sizeBytes < least { return "has \(disk.sizeBytes) bytes, fewer than the \(least) needed" }
        if let most = rule.maximumSizeBytes, disk.sizeBytes > most {
            return "has \(disk.sizeBytes) bytes, more than the \(most) allowed"
        }
        if let serial = rule.serial, disk.serial != serial {
            return "has serial number '\(disk.serial)', not '\(serial)'"
        }
        if let model = rule.model, !disk.model.contains(model) { return "is a '\(disk.model)', not a '\(model)'" }
        if !rule.overwriteForeignData, !isOwn {
            switch disk.content {
            case .blank: break
            case .foreign: return "holds foreign data, which the plan does not let be overwritten"
            case .apus: return "holds another Apus installation, which the plan does not let be overwritten"
            }
        }
        return nil
    }
}
