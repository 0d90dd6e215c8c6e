/// What a machine is made of, as it reports itself at registration. All of it is claimed, none of it is proven.
public struct Inventory: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// Identity from SMBIOS (DMTF DSP0134, types 1 to 3).
    public var smbios: SMBIOS
    /// The processor architecture.
    public var architecture: Architecture
    /// The processor's model name.
    public var processor: String
    /// How many logical processors are online.
    public var processorCount: Int
    /// Usable memory in bytes.
    public var memoryBytes: UInt64
    /// Physical network interfaces.
    public var networkInterfaces: [NetworkInterface]
    /// Whole disks.
    public var disks: [Disk]
    /// USB devices.
    public var usb: [USBDevice]
    /// PCI functions.
    public var pci: [PCIFunction]
    /// Whether the kernel has a TPM 2.0 device.
    public var hasTPM: Bool
    /// The UEFI firmware's vendor and version, and whether Secure Boot is on.
    public var firmware: FirmwareFacts
    /// The machine's clock in seconds since 1970 when the inventory was taken.
    public var clockSeconds: Int64

    /// Makes an inventory from its parts.
    public init(
        smbios: SMBIOS, architecture: Architecture, processor: String, processorCount: Int, memoryBytes: UInt64,
        networkInterfaces: [NetworkInterface], disks: [Disk], usb: [USBDevice], pci: [PCIFunction], hasTPM: Bool,
        firmware: FirmwareFacts, clockSeconds: Int64
    ) {
        self.smbios = smbios
        self.architecture = architecture
        self.processor = processor
        self.processorCount = processorCount
        self.memoryBytes = memoryBytes
        self.networkInterfaces = networkInterfaces
        self.disks = disks
        self.usb = usb
        self.pci = pci
        self.hasTPM = hasTPM
        self.firmware = firmware
        self.clockSeconds = clockSeconds
    }

    /// Identity strings of the machine; each may be empty or junk.
    public struct SMBIOS: Sendable, Codable, Equatable {
        /// The maker.
        public var manufacturer: String
        /// The product's name.
        public var product: String
        /// The system's serial number.
        public var serial: String
        /// The system's UUID, in lower case.
        public var uuid: String
        /// The chassis' asset tag.
        public var assetTag: String

        /// Makes an identity from its strings.
        public init(manufacturer: String, product: String, serial: String, uuid: String, assetTag: String) {
            self.manufacturer = manufacturer
            self.product = product
            self.serial = serial
            self.uuid = uuid
            self.assetTag = assetTag
        }
    }

    /// A physical network interface.
    public struct NetworkInterface: Sendable, Codable, Equatable {
        /// The kernel's name for it.
        public var name: String
        /// The permanent address, such as `52:54:00:12:34:56`.
        public var address: String
        /// The driver, or an empty string.
        public var driver: String
        /// The path in sysfs below `/sys/devices`.
        public var path: String
        /// Whether a carrier is present.
        public var hasLink: Bool

        /// Makes an interface from its facts.
        public init(name: String, address: String, driver: String, path: String, hasLink: Bool) {
            self.name = name
            self.address = address
            self.driver = driver
            self.path = path
            self.hasLink = hasLink
        }
    }

    /// A whole disk.
    public struct Disk: Sendable, Codable, Equatable {
        /// The kernel's name for it, such as `vda`.
        public var name: String
        /// Its size in bytes.
        public var sizeBytes: UInt64
        /// The logical sector size in bytes: 512 or 4096.
        public var sectorSizeBytes: Int
        /// `nvme`, `sata`, `sas`, `scsi`, `virtio`, `mmc`, `usb` or `other`.
        public var transport: String
        /// The model, or an empty string.
        public var model: String
        /// The serial number, or an empty string.
        public var serial: String
        /// The world-wide name, or an empty string.
        public var wwn: String
        /// Whether the medium can be taken out.
        public var isRemovable: Bool
        /// Whether this program was started from it.
        public var isBootMedium: Bool
        /// Whether it spins.
        public var isRotational: Bool
        /// What is on it.
        public var content: Content

        /// What a disk holds.
        public enum Content: String, Sendable, Codable {
            /// No partition table and no known signature.
            case blank
            /// A partition table of ours.
            case apus
            /// Anything else.
            case foreign
        }

        /// Makes a disk from its facts.
        public init(
            name: String, sizeBytes: UInt64, sectorSizeBytes: Int, transport: String, model: String, serial: String,
            wwn: String, isRemovable: Bool, isBootMedium: Bool, isRotational: Bool, content: Content
        ) {
            self.name = name
            self.sizeBytes = sizeBytes
            self.sectorSizeBytes = sectorSizeBytes
            self.transport = transport
            self.model = model
            self.serial = serial
            self.wwn = wwn
            self.isRemovable = isRemovable
            self.isBootMedium = isBootMedium
            self.isRotational = isRotational
            self.content = content
        }
    }

    /// A USB device.
    public struct USBDevice: Sendable, Codable, Equatable {
        /// The port chain, such as `1-2.3`.
        public var path: String
        /// Vendor and product, such as `0627:0001`.
        public var id: String
        /// The product's name as the device gives it.
        public var product: String
        /// The serial number as the device gives it.
        public var serial: String

        /// Makes a device from its facts.
        public init(path: String, id: String, product: String, serial: String) {
            self.path = path
            self.id = id
            self.product = product
            self.serial = serial
        }
    }

    /// A PCI function.
    public struct PCIFunction: Sendable, Codable, Equatable {
        /// The address, such as `0000:00:1f.2`.
        public var address: String
        /// Vendor and device, such as `8086:2922`.
        public var id: String
        /// The class code, such as `010601`.
        public var classCode: String
        /// The driver, or an empty string.
        public var driver: String

        /// Makes a function from its facts.
        public init(address: String, id: String, classCode: String, driver: String) {
            self.address = address
            self.id = id
            self.classCode = classCode
            self.driver = driver
        }
    }

    /// The firmware.
    public struct FirmwareFacts: Sendable, Codable, Equatable {
        /// The vendor.
        public var vendor: String
        /// The version.
        public var version: String
        /// Whether Secure Boot is enforced.
        public var secureBoot: Bool

        /// Makes the facts.
        public init(vendor: String, version: String, secureBoot: Bool) {
            self.vendor = vendor
            self.version = version
            self.secureBoot = secureBoot
        }
    }
}
