import Contract

extension CleanText {
    /// An inventory whose texts are clean and whose lists are bounded.
    static func inventory(_ inventory: Inventory) -> Inventory {
        var inventory = inventory
        inventory.smbios = Inventory.SMBIOS(
            manufacturer: line(inventory.smbios.manufacturer, limit: 256),
            product: line(inventory.smbios.product, limit: 256), serial: line(inventory.smbios.serial, limit: 256),
            uuid: line(inventory.smbios.uuid, limit: 64), assetTag: line(inventory.smbios.assetTag, limit: 256))
        inventory.processor = line(inventory.processor, limit: 256)
        inventory.networkInterfaces = inventory.networkInterfaces.prefix(256).map {
            .init(
                name: line($0.name, limit: 64), address: line($0.address, limit: 64),
                driver: line($0.driver, limit: 64),
                path: line($0.path, limit: 512), hasLink: $0.hasLink)
        }
        inventory.disks = inventory.disks.prefix(512).map(disk)
        inventory.usb = inventory.usb.prefix(256).map {
            .init(
                path: line($0.path, limit: 64), id: line($0.id, limit: 32), product: line($0.product, limit: 256),
                serial: line($0.serial, limit: 256))
        }
        inventory.pci = inventory.pci.prefix(2048).map {
            .init(
                address: line($0.address, limit: 32), id: line($0.id, limit: 32),
                classCode: line($0.classCode, limit: 16), driver: line($0.driver, limit: 64))
        }
        inventory.firmware.vendor = line(inventory.firmware.vendor, limit: 256)
        inventory.firmware.version = line(inventory.firmware.version, limit: 256)
        return inventory
    }

    private static func disk(_ disk: Inventory.Disk) -> Inventory.Disk {
        var disk = disk
        disk.name = line(disk.name, limit: 64)
        disk.transport = line(disk.transport, limit: 32)
        disk.model = line(disk.model, limit: 256)
        disk.serial = line(disk.serial, limit: 256)
        disk.wwn = line(disk.wwn, limit: 128)
        return disk
    }
}
