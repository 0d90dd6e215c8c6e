internal import CLinux
public import Contract

/// Takes stock of the machine from sysfs and procfs. What is missing or unreadable becomes an empty value: a machine
/// with odd hardware must still be able to register.
public struct InventoryReader: Sendable {
    private let root: String

    /// Most of each kind that is reported; more would not fit into a message.
    private static let limit = 512

    /// Reads below `root`, which ends with a slash; tests give a folder of their own.
    public init(root: String = "/") { self.root = root }

    /// The whole inventory.
    ///
    /// - Parameters:
    ///   - bootPartition: the UUID of the partition that this program was started from, in lower case; its disk is the
    ///     boot medium.
    ///   - clockSeconds: the machine's clock in seconds since 1970.
    public func inventory(bootPartition: String? = nil, clockSeconds: Int64 = Clock.realtimeSeconds()) -> Inventory {
        Inventory(
            smbios: smbios(), architecture: .current, processor: processor(), processorCount: processorCount(),
            memoryBytes: (try? Machine.memory(root: root).totalBytes) ?? 0, networkInterfaces: networkInterfaces(),
            disks: disks(bootPartition: bootPartition), usb: usb(), pci: pci(), hasTPM: hasTPM(),
            firmware: firmware(), clockSeconds: clockSeconds)
    }

    /// The identity that SMBIOS gives, as far as the kernel shows it.
    public func smbios() -> Inventory.SMBIOS {
        let folder = "sys/class/dmi/id/"
        return Inventory.SMBIOS(
            manufacturer: text(folder + "sys_vendor"), product: text(folder + "product_name"),
            serial: text(folder + "product_serial"), uuid: text(folder + "product_uuid").lowercased(),
            assetTag: text(folder + "chassis_asset_tag"))
    }

    private func firmware() -> Inventory.FirmwareFacts {
        let folder = "sys/class/dmi/id/"
        return Inventory.FirmwareFacts(
            vendor: text(folder + "bios_vendor"), version: text(folder + "bios_version"), secureBoot: secureBoot())
    }

    /// Whether the firmware enforces Secure Boot: variable `SecureBoot` is 1 (UEFI 2.10, section 3.3); four bytes of
    /// attributes come before the value.
    public func secureBoot() -> Bool {
        let path = root + "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        return (try? Files.read(path, limitBytes: 16)).map { $0.count == 5 && $0[4] == 1 } ?? false
    }

    private func hasTPM() -> Bool { text("sys/class/tpm/tpm0/tpm_version_major") == "2" }

    private func processor() -> String {
        guard let bytes = try? Files.readPrefix(root + "proc/cpuinfo", bytes: 16 << 10) else { return "" }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("model name") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return Text.clean(line[line.index(after: colon)...])
        }
        return ""
    }

    /// The count of a list such as `0-3,8`.
    private func processorCount() -> Int {
        var count = 0
        for range in text("sys/devices/system/cpu/online").split(separator: ",") {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last, last < 1 << 16 else { continue }
            count += last - first + 1
        }
        return count
    }

    // MARK: Network

    /// Interfaces with hardware behind them, by name.
    public func networkInterfaces() -> [Inventory.NetworkInterface] {
        let folder = "sys/class/net/"
        return names(folder).compactMap { name in
            let path = folder + name
            // 1 is Ethernet (ARPHRD_ETHER); bridges, bonds and VLANs have no device.
            guard Files.exists(root + path + "/device"), text(path + "/type") == "1" else { return nil }
            return Inventory.NetworkInterface(
                name: Text.clean(name), address: permanentAddress(name), driver: linkName(path + "/device/driver"),
                path: devicePath(path + "/device"), hasLink: text(path + "/carrier") == "1")
        }
    }

    /// The address in the card, also where software has given it another.
    private func permanentAddress(_ name: String) -> String {
        var bytes = [UInt8](repeating: 0, count: 6)
        if root == "/", apus_permanent_address(name, &bytes) == 0 {
            return bytes.map { byte in [byte].lowercaseHex }.joined(separator: ":")
        }
        return text("sys/class/net/\(name)/address").lowercased()
    }

    // MARK: Disks

    /// Whole disks, by name.
    public func disks(bootPartition: String? = nil) -> [Inventory.Disk] {
        let nodes = BlockNodes(root: root)
        return nodes.disks().prefix(Self.limit).compactMap { disk($0, nodes, bootPartition) }
    }

    private func disk(_ name: String, _ nodes: BlockNodes, _ bootPartition: String?) -> Inventory.Disk? {
        let folder = "sys/class/block/\(name)"
        // The kernel counts 512-byte sectors whatever the disk's own are; an empty card reader has none.
        guard let sectors = UInt64(text(folder + "/size")), sectors > 0, sectors < 1 << 54 else { return nil }
        let transport = Self.transport(path: (try? Files.resolve(root + folder)) ?? "")
        return Inventory.Disk(
            name: Text.clean(name), sizeBytes: sectors * 512, sectorSizeBytes: nodes.sectorSize(name),
            transport: transport, model: first(folder, ["device/model", "device/name"]),
            serial: serial(folder), wwn: first(folder, ["wwid", "device/wwid"]),
            isRemovable: text(folder + "/removable") == "1" || text(folder + "/device/type") == "SD",
            isBootMedium: bootPartition.map { isOn(name, partition: $0, nodes) } ?? false,
            isRotational: text(folder + "/queue/rotational") == "1", content: content(name, nodes))
    }

    private func isOn(_ disk: String, partition: String, _ nodes: BlockNodes) -> Bool {
        guard let wanted = StoredUUID(partition), let table = nodes.table(of: disk)?.table else { return false }
        return table.partitions.contains { $0.uuid == wanted }
    }

    private func content(_ disk: String, _ nodes: BlockNodes) -> Inventory.Disk.Content {
        guard
            let device = try? FileBlockDevice(
                path: nodes.path(of: disk), sectorSizeBytes: nodes.sectorSize(disk), writable: false)
        else { return .foreign }
        return DiskContent.of(device)
    }

    /// How a disk is attached, from where it hangs in the device tree.
    static func transport(path: String) -> String {
        let parts = path.split(separator: "/")
        func has(_ prefix: String) -> Bool {
            parts.contains { $0.hasPrefix(prefix) && $0.dropFirst(prefix.count).first?.isNumber == true }
        }
        if has("usb") { return "usb" }
        if parts.contains("nvme") || parts.contains("nvme-subsystem") || has("nvme") { return "nvme" }
        if parts.contains("mmc_host") { return "mmc" }
        if has("ata") { return "sata" }
        if has("end_device-") { return "sas" }
        if has("target") { return "scsi" }
        if has("virtio") { return "virtio" }
        return "other"
    }

    private func serial(_ folder: String) -> String {
        let plain = first(folder, ["serial", "device/serial"])
        guard plain.isEmpty else { return plain }
        // SCSI's vital product data page 0x80, "unit serial number": four bytes of header, then the text (SPC-4, 7.8.15).
        guard let page = try? Files.read("\(root)\(folder)/device/vpd_pg80", limitBytes: 260), page.count > 4,
            page[1] == 0x80
        else { return "" }
        return Text.clean(String(decoding: page.dropFirst(4), as: UTF8.self))
    }

    // MARK: Buses

    private func usb() -> [Inventory.USBDevice] {
        let folder = "sys/bus/usb/devices/"
        return names(folder).compactMap { name in
            // Root hubs are named usb1; interfaces have a colon.
            guard !name.hasPrefix("usb"), !name.contains(":") else { return nil }
            let (vendor, product) = (text(folder + name + "/idVendor"), text(folder + name + "/idProduct"))
            guard !vendor.isEmpty else { return nil }
            return Inventory.USBDevice(
                path: Text.clean(name), id: vendor + ":" + product, product: text(folder + name + "/product"),
                serial: text(folder + name + "/serial"))
        }
    }

    private func pci() -> [Inventory.PCIFunction] {
        let folder = "sys/bus/pci/devices/"
        return names(folder).map { name in
            func hex(_ file: String) -> String {
                let value = text(folder + name + "/" + file)
                return value.hasPrefix("0x") ? String(value.dropFirst(2)) : value
            }
            return Inventory.PCIFunction(
                address: Text.clean(name), id: hex("vendor") + ":" + hex("device"), classCode: hex("class"),
                driver: linkName(folder + name + "/driver"))
        }
    }

    // MARK: Reading

    private func names(_ folder: String) -> [String] {
        Array(((try? Files.list(root + folder)) ?? []).prefix(Self.limit))
    }

    private func text(_ path: String) -> String {
        (try? Files.readText(root + path, limitBytes: 4096)).map { Text.clean($0) } ?? ""
    }

    private func first(_ folder: String, _ files: [String]) -> String {
        for file in files {
            let value = text("\(folder)/\(file)")
            if !value.isEmpty { return value }
        }
        return ""
    }

    private func linkName(_ path: String) -> String {
        guard let target = try? Files.readLink(root + path), let last = target.split(separator: "/").last else {
            return ""
        }
        return Text.clean(last)
    }

    /// Where a device lies below `/sys/devices`.
    private func devicePath(_ path: String) -> String {
        guard let full = try? Files.resolve(root + path), let start = full.ranges(of: "/sys/devices/").last else {
            return ""
        }
        return Text.clean(full[start.upperBound...], limit: 512)
    }
}
