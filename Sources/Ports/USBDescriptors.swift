/// What a USB device says of itself: its device descriptor and those of its configurations, as sysfs has them in
/// `descriptors` (Linux Documentation/ABI/testing/sysfs-bus-usb; USB 2.0 specification, section 9.6).
///
/// The device wrote every byte, and a malicious one lies: lengths are followed step by step and never believed beyond
/// what is there, counts must agree, and whatever does not fit refuses the device as a whole.
public struct USBDescriptors: Sendable, Hashable {
    /// The class of the device as a whole; 0 where each interface has its own.
    public var deviceClass: USBClass
    /// `idVendor`.
    public var vendor: UInt16
    /// `idProduct`.
    public var product: UInt16
    /// `bcdDevice`.
    public var release: UInt16
    /// The configurations, of which the kernel chooses one.
    public var configurations: [USBConfiguration]

    /// The most that is read, in bytes: far more than real devices have.
    public static let byteLimit = 16 << 10

    /// Reads descriptors.
    ///
    /// - Throws: `USBDescriptorFault` for anything that a device with good manners does not say.
    public init(parsing bytes: some Collection<UInt8>) throws(USBDescriptorFault) {
        guard bytes.count <= Self.byteLimit else { throw .oversized(bytes: bytes.count) }
        let bytes = Array(bytes)
        guard bytes.count >= 18 else { throw .truncated(at: bytes.count) }
        guard bytes[0] == 18, bytes[1] == Kind.device else { throw .unexpected(at: 0) }
        deviceClass = USBClass(code: bytes[4], subclass: bytes[5], protocolCode: bytes[6])
        vendor = Self.word(bytes, 8)
        product = Self.word(bytes, 10)
        release = Self.word(bytes, 12)
        var reader = Reader(bytes: bytes)
        configurations = try reader.configurations()
        guard configurations.count == Int(bytes[17]) else { throw .countDiffers(what: "configurations") }
        guard Set(configurations.map(\.value)).count == configurations.count else { throw .repeated(at: 0) }
    }

    /// Every interface of every configuration.
    public var interfaces: [USBInterface] { configurations.flatMap(\.interfaces) }

    /// Whether it is a hub and nothing else.
    public var isHub: Bool {
        deviceClass.code == USBClass.hub && !interfaces.isEmpty
            && interfaces.allSatisfy { $0.classes.allSatisfy { $0.code == USBClass.hub } }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    }

    /// `bDescriptorType` (USB 2.0, table 9-5; interface association: USB 2.0 ECN).
    private enum Kind {
        static let device: UInt8 = 1
        static let configuration: UInt8 = 2
        static let interface: UInt8 = 4
        static let endpoint: UInt8 = 5
    }

    /// Walks from one descriptor to the next.
    private struct Reader {
        let bytes: [UInt8]
        var offset = 18

        mutating func configurations() throws(USBDescriptorFault) -> [USBConfiguration] {
            var found: [USBConfiguration] = []
            while let header = try next() {
                guard header.kind == Kind.configuration, header.length == 9 else {
                    throw .unexpected(at: header.start)
                }
                guard found.count < USBLimit.configurations else { throw .tooMany(what: "configurations") }
                found.append(try configuration(at: header.start))
            }
            return found
        }

        /// A configuration up to the next one; its own total length is not believed.
        private mutating func configuration(at start: Int) throws(USBDescriptorFault) -> USBConfiguration {
            var interfaces: [UInt8: [USBAlternate]] = [:]
            var current: (number: UInt8, alternate: USBAlternate)?
            func closed(
                _ interfaces: [UInt8: [USBAlternate]], _ open: (number: UInt8, alternate: USBAlternate)?
            ) throws(USBDescriptorFault) -> [UInt8: [USBAlternate]] {
                guard let open else { return interfaces }
                guard open.alternate.endpoints == open.alternate.endpointsSeen else {
                    throw .countDiffers(what: "endpoints")
                }
                var interfaces = interfaces
                interfaces[open.number, default: []].append(open.alternate)
                return interfaces
            }
            while let header = try peek(), header.kind != Kind.configuration {
                _ = try next()
                switch header.kind {
                case Kind.device: throw .unexpected(at: header.start)
                case Kind.interface:
                    guard header.length == 9 else { throw .unexpected(at: header.start) }
                    interfaces = try closed(interfaces, current)
                    let number = bytes[header.start + 2]
                    let setting = bytes[header.start + 3]
                    let known = interfaces[number] ?? []
                    guard !known.contains(where: { $0.setting == setting }) else { throw .repeated(at: header.start) }
                    guard interfaces.count < USBLimit.interfaces || !known.isEmpty,
                        known.count < USBLimit.alternates
                    else { throw .tooMany(what: "interfaces") }
                    current = (
                        number,
                        USBAlternate(
                            setting: setting, endpoints: Int(bytes[header.start + 4]),
                            interfaceClass: USBClass(
                                code: bytes[header.start + 5], subclass: bytes[header.start + 6],
                                protocolCode: bytes[header.start + 7]))
                    )
                case Kind.endpoint:
                    guard header.length >= 7, current != nil else { throw .unexpected(at: header.start) }
                    current?.alternate.endpointsSeen += 1
                    guard (current?.alternate.endpointsSeen ?? 0) <= USBLimit.endpoints else {
                        throw .tooMany(what: "endpoints")
                    }
                // Of classes and vendors: their lengths are followed, and nothing in them decides.
                default: break
                }
            }
            interfaces = try closed(interfaces, current)
            guard interfaces.count == Int(bytes[start + 4]) else { throw .countDiffers(what: "interfaces") }
            // A setting 0 is what an interface starts with (USB 2.0, section 9.6.5).
            guard interfaces.values.allSatisfy({ $0.contains { $0.setting == 0 } }) else {
                throw .countDiffers(what: "settings")
            }
            return USBConfiguration(
                value: bytes[start + 5],
                interfaces: interfaces.keys.sorted().map { number in
                    USBInterface(number: number, classes: Set((interfaces[number] ?? []).map(\.interfaceClass)))
                })
        }

        private func peek() throws(USBDescriptorFault) -> (start: Int, length: Int, kind: UInt8)? {
            guard offset < bytes.count else { return nil }
            guard offset + 2 <= bytes.count else { throw .truncated(at: offset) }
            let length = Int(bytes[offset])
            // One of length 0 or 1 would never end.
            guard length >= 2 else { throw .unexpected(at: offset) }
            guard offset + length <= bytes.count else { throw .truncated(at: offset) }
            return (offset, length, bytes[offset + 1])
        }

        private mutating func next() throws(USBDescriptorFault) -> (start: Int, length: Int, kind: UInt8)? {
            guard let header = try peek() else { return nil }
            offset += header.length
            return header
        }
    }

    private struct USBAlternate {
        var setting: UInt8
        var endpoints: Int
        var interfaceClass: USBClass
        var endpointsSeen = 0
    }
}

/// A configuration of a device.
public struct USBConfiguration: Sendable, Hashable {
    /// `bConfigurationValue`.
    public var value: UInt8
    /// The interfaces by number.
    public var interfaces: [USBInterface]
}

/// An interface: what one driver binds to.
public struct USBInterface: Sendable, Hashable {
    /// `bInterfaceNumber`.
    public var number: UInt8
    /// The classes of all its alternate settings: it may become any of them once it is allowed.
    public var classes: Set<USBClass>
}

/// Class, subclass and protocol (<https://www.usb.org/defined-class-codes>).
public struct USBClass: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The class.
    public var code: UInt8
    /// The subclass.
    public var subclass: UInt8
    /// The protocol.
    public var protocolCode: UInt8

    /// Human interface devices: keyboards, mice, buttons.
    public static let hid: UInt8 = 0x03
    /// Hubs.
    public static let hub: UInt8 = 0x09

    /// Makes a class from its codes.
    public init(code: UInt8, subclass: UInt8, protocolCode: UInt8) {
        self.code = code
        self.subclass = subclass
        self.protocolCode = protocolCode
    }

    /// Three pairs of hexadecimal digits, such as `08:06:50`.
    public var description: String { [code, subclass, protocolCode].map(hexadecimal).joined(separator: ":") }

    /// By code, then subclass, then protocol.
    public static func < (left: USBClass, right: USBClass) -> Bool {
        (left.code, left.subclass, left.protocolCode) < (right.code, right.subclass, right.protocolCode)
    }
}

/// Why a device's descriptors are refused.
public enum USBDescriptorFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// More bytes than are read.
    case oversized(bytes: Int)
    /// They end within a descriptor.
    case truncated(at: Int)
    /// A descriptor of a kind or a length that cannot be there.
    case unexpected(at: Int)
    /// The same number twice.
    case repeated(at: Int)
    /// A count differs from what follows.
    case countDiffers(what: String)
    /// More than the kernel would take.
    case tooMany(what: String)

    /// The fault as a sentence.
    public var description: String {
        switch self {
        case .oversized(let bytes):
            "its descriptors have \(bytes) bytes, and \(USBDescriptors.byteLimit) at most are read"
        case .truncated(let offset): "its descriptors end within the one at byte \(offset)"
        case .unexpected(let offset): "the descriptor at byte \(offset) has a kind or a length that cannot be there"
        case .repeated(let offset): "the descriptor at byte \(offset) has the number of an earlier one"
        case .countDiffers(let what): "it announces other \(what) than it has"
        case .tooMany(let what): "it has more \(what) than any device has"
        }
    }
}

/// What the kernel takes of a device (Linux include/linux/usb.h, drivers/usb/core/config.c).
enum USBLimit {
    static let configurations = 8
    static let interfaces = 32
    static let alternates = 128
    static let endpoints = 30
}

/// Two digits of a byte.
func hexadecimal(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
}
