import Contract
import Ports

/// Descriptors put together byte by byte, as devices of several kinds say them.
enum Device {
    /// A descriptor: its length, its kind, and the rest.
    static func descriptor(_ kind: UInt8, _ rest: [UInt8]) -> [UInt8] { [UInt8(rest.count + 2), kind] + rest }

    static func head(
        classes: (UInt8, UInt8, UInt8) = (0, 0, 0), vendor: UInt16 = 0x1209, product: UInt16 = 0x0001,
        configurations: UInt8 = 1
    ) -> [UInt8] {
        descriptor(
            1,
            [
                0x00, 0x02, classes.0, classes.1, classes.2, 64, UInt8(vendor & 0xFF), UInt8(vendor >> 8),
                UInt8(product & 0xFF), UInt8(product >> 8), 0x00, 0x01, 1, 2, 3, configurations,
            ])
    }

    static func configuration(value: UInt8 = 1, interfaces: UInt8, _ content: [UInt8]) -> [UInt8] {
        let total = content.count + 9
        return descriptor(2, [UInt8(total & 0xFF), UInt8(total >> 8 & 0xFF), interfaces, value, 0, 0x80, 50]) + content
    }

    static func interface(
        _ number: UInt8, setting: UInt8 = 0, _ classes: (UInt8, UInt8, UInt8), endpoints: UInt8 = 0
    ) -> [UInt8] {
        descriptor(4, [number, setting, endpoints, classes.0, classes.1, classes.2, 0])
            + (0..<endpoints).flatMap { descriptor(5, [0x81 + $0, 2, 0, 2, 0]) }
    }

    /// A stick: mass storage, SCSI, bulk only.
    static let stick = head() + configuration(interfaces: 1, interface(0, (8, 6, 0x50), endpoints: 2))
    /// A boot keyboard with its HID descriptor, which is of the class and only stepped over.
    static let keyboard =
        head(product: 2)
        + configuration(
            interfaces: 1,
            descriptor(4, [0, 0, 1, 3, 1, 1, 0]) + descriptor(0x21, [0x11, 0x01, 0, 1, 0x22, 63, 0])
                + descriptor(5, [0x81, 3, 8, 0, 10]))
    /// A stick that is a keyboard, too.
    static let badStick =
        head()
        + configuration(interfaces: 2, interface(0, (8, 6, 0x50), endpoints: 2) + interface(1, (3, 1, 1), endpoints: 1))
    /// A camera: an association of two video interfaces, of which one has three settings, and a button.
    static let camera =
        head(classes: (0xEF, 2, 1), product: 3)
        + configuration(
            interfaces: 3,
            descriptor(0x0B, [0, 2, 14, 3, 0, 0]) + interface(0, (14, 1, 0), endpoints: 1)
                + descriptor(0x24, [1, 0, 1, 13, 0]) + interface(1, (14, 2, 0))
                + interface(1, setting: 1, (14, 2, 0), endpoints: 1)
                + interface(1, setting: 2, (14, 2, 0), endpoints: 1)
                + interface(2, (3, 0, 0), endpoints: 1))
    static let hub =
        head(classes: (9, 0, 1), product: 4)
        + configuration(
            interfaces: 1, interface(0, (9, 0, 1), endpoints: 1) + interface(0, setting: 1, (9, 0, 2), endpoints: 1))
    static let all = [stick, keyboard, badStick, camera, hub]

    /// A device as the policy sees it.
    static func of(_ bytes: [UInt8], serial: String? = "1", hash: UInt8 = 1) throws -> PortDevice {
        let read = try USBDescriptors(parsing: bytes)
        guard let digest = Digest256(bytes: [UInt8](repeating: hash, count: 32)) else { throw WireError("no digest") }
        return PortDevice(
            vendor: read.vendor, product: read.product, serial: serial, descriptorHash: digest,
            interfaces: read.configurations.first?.interfaces ?? [], isHub: read.isHub)
    }
}
