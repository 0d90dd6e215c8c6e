import Contract
import Glibc
import Linux
import TestSupport
import Testing

/// A made-up machine: its sysfs, procfs and /dev below a folder.
private final class MadeUpMachine {
    let scratch: Scratch
    var root: String { scratch.path + "/" }
    var reader: InventoryReader { InventoryReader(root: root) }

    init() throws {
        scratch = try Scratch()
        let dmi = "sys/class/dmi/id/"
        try scratch.file(dmi + "sys_vendor", "QEMU\n")
        try scratch.file(dmi + "product_name", "Standard PC \u{1b}[2J(Q35)\n")
        try scratch.file(dmi + "product_serial", [0xff, 0xfe, 0x41, 0x0a])
        try scratch.file(dmi + "product_uuid", "4C4C4544-0042-3510-8052-B4C04F4A3132\n")
        try scratch.file(dmi + "bios_vendor", "EDK II\n")
        try scratch.file(dmi + "bios_version", "2024.02\n")
        try scratch.file("proc/cpuinfo", "processor : 0\nmodel name\t: QEMU Virtual CPU version 2.5+\nflags\t: x\n")
        try scratch.file("proc/meminfo", "MemTotal:  262144 kB\nMemAvailable:  131072 kB\n")
        try scratch.file("proc/self/status", "VmRSS:  1024 kB\n")
        try scratch.file("sys/devices/system/cpu/online", "0-3,6\n")
        try scratch.file("sys/class/tpm/tpm0/tpm_version_major", "2\n")
        try scratch.file(
            "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", [6, 0, 0, 0, 1])
    }

    /// A network card; without a driver's device it is virtual.
    func card(_ name: String, isPhysical: Bool = true) throws {
        let folder = "sys/class/net/\(name)/"
        try scratch.file(folder + "type", "1\n")
        try scratch.file(folder + "address", "52:54:00:12:34:56\n")
        try scratch.file(folder + "carrier", "1\n")
        guard isPhysical else { return }
        let device = "sys/devices/pci0000:00/0000:00:02.0/virtio0"
        try scratch.file(device + "/modalias", "virtio:d00000001v00001AF4\n")
        try Files.makeDirectory(root + "sys/bus/virtio/drivers/virtio_net")
        try Files.link(root + device + "/driver", to: root + "sys/bus/virtio/drivers/virtio_net")
        try Files.link(root + folder + "device", to: "../../../devices/pci0000:00/0000:00:02.0/virtio0")
    }

    /// A disk that hangs at `path` in the device tree, 16 MB large.
    func disk(_ name: String, at path: String, _ files: [String: String] = [:]) throws {
        let folder = "sys/devices/\(path)/block/\(name)"
        try scratch.file(folder + "/size", "32768\n")
        try scratch.file(folder + "/removable", "0\n")
        try scratch.file(folder + "/queue/logical_block_size", "512\n")
        try scratch.file(folder + "/queue/rotational", "0\n")
        for (file, text) in files { try scratch.file("\(folder)/\(file)", text) }
        try Files.makeDirectory(root + "sys/class/block")
        try Files.link(root + "sys/class/block/" + name, to: "../../devices/\(path)/block/\(name)")
        try Files.makeDirectory(root + "dev")
        _ = try scratch.sparseFile("dev/" + name, sizeBytes: 16 << 20)
    }
}

@Test func theMachineIsDescribedAndItsStringsAreCleaned() throws {
    let machine = try MadeUpMachine()
    let inventory = machine.reader.inventory(clockSeconds: 1)
    #expect(inventory.smbios.manufacturer == "QEMU")
    #expect(inventory.smbios.product == "Standard PC [2J(Q35)")
    #expect(inventory.smbios.serial == "A")
    #expect(inventory.smbios.uuid == "4c4c4544-0042-3510-8052-b4c04f4a3132")
    #expect(inventory.smbios.assetTag == "")
    #expect(inventory.processor == "QEMU Virtual CPU version 2.5+")
    #expect(inventory.processorCount == 5)
    #expect(inventory.memoryBytes == 256 << 20)
    #expect(inventory.hasTPM)
    #expect(inventory.firmware == .init(vendor: "EDK II", version: "2024.02", secureBoot: true))
}

@Test func aMachineThatTellsNothingStillHasAnInventory() throws {
    let scratch = try Scratch()
    let inventory = InventoryReader(root: scratch.path + "/").inventory(clockSeconds: 0)
    #expect(inventory.disks.isEmpty)
    #expect(inventory.smbios.serial == "")
    #expect(!inventory.firmware.secureBoot)
    _ = try Wire.encode(inventory)
}

@Test func onlyPhysicalCardsAreListed() throws {
    let machine = try MadeUpMachine()
    try machine.card("eth0")
    try machine.card("br0", isPhysical: false)
    #expect(
        machine.reader.networkInterfaces() == [
            .init(
                name: "eth0", address: "52:54:00:12:34:56", driver: "virtio_net",
                path: "pci0000:00/0000:00:02.0/virtio0", hasLink: true)
        ])
}

@Test(arguments: [
    ("nvme0n1", "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0", "nvme"),
    ("nvme1n1", "virtual/nvme-subsystem/nvme-subsys1", "nvme"),
    ("sda", "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0", "sata"),
    ("sdb", "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0", "usb"),
    ("sdc", "pci0000:00/0000:03:00.0/host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0", "sas"),
    ("sdd", "pci0000:00/0000:05:00.0/host2/target2:1:0/2:1:0:0", "scsi"),
    ("vda", "pci0000:00/0000:00:04.0/virtio1", "virtio"),
    ("mmcblk0", "platform/soc/fe300000.mmc/mmc_host/mmc0/mmc0:0001", "mmc"),
])
func aDisksTransportIsKnownByItsPlace(name: String, path: String, transport: String) throws {
    let machine = try MadeUpMachine()
    try machine.disk(name, at: path)
    let disks = machine.reader.disks()
    #expect(disks.map(\.name) == [name])
    #expect(disks.first?.transport == transport)
    #expect(disks.first?.sizeBytes == 16 << 20)
    #expect(disks.first?.content == .blank)
}

@Test func whatIsNoDiskIsLeftOut() throws {
    let machine = try MadeUpMachine()
    for name in ["loop0", "zram0", "dm-0", "md127", "sr0", "nbd3"] { try machine.disk(name, at: "virtual") }
    try machine.disk("mmcblk0boot0", at: "platform/mmc_host/mmc0/mmc0:0001")
    try machine.disk("nvme0c0n1", at: "pci0000:00/nvme/nvme0", ["hidden": "1\n"])
    try machine.disk("sdz", at: "pci0000:00/ata9/host9", ["size": "0\n"])
    #expect(machine.reader.disks().isEmpty)
}

@Test func serialsComeFromWhereverTheDriverPutsThem() throws {
    let machine = try MadeUpMachine()
    try machine.disk("vda", at: "pci0000:00/virtio1", ["serial": "virt-1\n"])
    try machine.disk(
        "nvme0n1", at: "pci0000:00/nvme/nvme0",
        ["device/serial": "S4EV  \n", "device/model": "Samsung SSD 970   \n", "wwid": "eui.0025385b01\n"])
    try machine.disk("sda", at: "pci0000:00/ata1/host0/target0:0:0/0:0:0:0", ["device/wwid": "naa.5000c500a1b2c3d4\n"])
    try machine.scratch.file(
        "sys/devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda/device/vpd_pg80",
        [0, 0x80, 0, 8] + Array("  WX1234".utf8))
    let disks = machine.reader.disks()
    #expect(disks.map(\.serial) == ["S4EV", "WX1234", "virt-1"])
    #expect(disks.map(\.wwn) == ["eui.0025385b01", "naa.5000c500a1b2c3d4", ""])
    #expect(disks.first?.model == "Samsung SSD 970")
}

@Test func theBootMediumIsKnownByItsPartition() throws {
    let machine = try MadeUpMachine()
    try machine.disk("vda", at: "pci0000:00/virtio1")
    try machine.disk("sdb", at: "pci0000:00/usb1/1-2/host6/target6:0:0", ["removable": "1\n"])
    let uuid = "11111111-1111-4111-8111-111111111111"
    let script = "label: gpt\nsize=4096, uuid=\(uuid), name=\"apus-recovery\"\n"
    let outcome = try Processes.run(
        "/usr/sbin/sfdisk", ["-q", machine.root + "dev/sdb"], input: Array(script.utf8), timeoutSeconds: 30)
    try #require(outcome.succeeded)
    let disks = machine.reader.disks(bootPartition: uuid)
    #expect(disks.map(\.name) == ["sdb", "vda"])
    #expect(disks.map(\.isBootMedium) == [true, false])
    #expect(disks.map(\.isRemovable) == [true, false])
    #expect(disks.map(\.content) == [.apus, .blank])
    // The kernel has no node for the partition yet, then it has.
    #expect(BlockNodes(root: machine.root).partitions(withUUID: uuid).isEmpty)
    try machine.scratch.file("sys/devices/pci0000:00/usb1/1-2/host6/target6:0:0/block/sdb/sdb1/partition", "1\n")
    let found = BlockNodes(root: machine.root).partitions(withUUID: uuid)
    #expect(found.map(\.path) == [machine.root + "dev/sdb1"])
    #expect(found.map(\.disk) == ["sdb"])
}

@Test func busesAreListed() throws {
    let machine = try MadeUpMachine()
    let usb = "sys/bus/usb/devices/1-2.3/"
    try machine.scratch.file(usb + "idVendor", "0627\n")
    try machine.scratch.file(usb + "idProduct", "0001\n")
    try machine.scratch.file(usb + "serial", "28754-0000:00\n")
    try machine.scratch.file("sys/bus/usb/devices/usb1/idVendor", "1d6b\n")
    try Files.makeDirectory(machine.root + "sys/bus/usb/devices/1-2.3:1.0")
    let pci = "sys/bus/pci/devices/0000:00:1f.2/"
    for (file, text) in ["vendor": "0x8086\n", "device": "0x2922\n", "class": "0x010601\n"] {
        try machine.scratch.file(pci + file, text)
    }
    let inventory = machine.reader.inventory(clockSeconds: 0)
    #expect(inventory.usb == [.init(path: "1-2.3", id: "0627:0001", product: "", serial: "28754-0000:00")])
    #expect(inventory.pci == [.init(address: "0000:00:1f.2", id: "8086:2922", classCode: "010601", driver: "")])
}

@Test func thisMachineCanBeDescribed() throws {
    let inventory = InventoryReader().inventory()
    #expect(inventory.memoryBytes > 0)
    #expect(inventory.processorCount > 0)
    #expect(try Wire.encode(inventory).count < WireLimit.message)
}
