public import Contract

/// A place that something can be plugged into, by where it is and never by what happens to be numbered there.
public struct PortID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The text form: `usb:0000:00:14.0/1.4` is port 4 of what is in port 1 of the controller at that PCI address, and
    /// `eth:0000:02:00.0/1` the second port of that card.
    public let description: String

    /// What kind of port it is.
    public var kind: Kind { description.hasPrefix("usb:") ? .usb : .ethernet }

    /// The kinds.
    public enum Kind: String, Sendable, Codable {
        /// A USB port.
        case usb
        /// An Ethernet port.
        case ethernet
    }

    /// Reads the text form; nil for what is none.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 128, let colon = text.firstIndex(of: ":"),
            let slash = text.lastIndex(of: "/"), colon < slash
        else { return nil }
        let place = text[text.index(after: colon)..<slash]
        let chain = text[text.index(after: slash)...].split(separator: ".", omittingEmptySubsequences: false)
        let isPlace =
            !place.isEmpty
            && place.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || ":.-_/".utf8.contains($0)
            }
        let isNumber: (Substring) -> Bool = { part in
            UInt8(part).map { "\($0)" == part } ?? false
        }
        let links = chain.map { Substring($0) }
        switch text[..<colon] {
        // A chain has six hubs at most (USB 2.0, section 4.1.1); ports count from 1.
        case "usb" where (1...7).contains(links.count) && links.allSatisfy({ isNumber($0) && $0 != "0" }) && isPlace:
            break
        case "eth" where links.count == 1 && isNumber(links[0]) && isPlace: break
        default: return nil
        }
        description = String(text)
    }

    /// By text.
    public static func < (left: PortID, right: PortID) -> Bool { left.description < right.description }
}

/// A port as a node found it.
public struct Port: Sendable, Hashable {
    /// Where it is.
    public var id: PortID
    /// What an operator calls it, or the firmware; nil where neither does.
    public var label: String?
    /// How its devices are to be taken.
    public var standing: Standing
    /// Whether the node itself needs it: its management link, its boot disk. No subject but the host reaches it.
    public var isHostReserved: Bool

    /// How a port's devices are to be taken.
    public enum Standing: String, Sendable, Codable {
        /// What is in it is soldered, or cannot be taken out.
        case `internal`
        /// Something was in it when the node registered.
        case registered
        /// It was empty.
        case configurable
    }

    /// Describes a port.
    public init(id: PortID, label: String? = nil, standing: Standing, isHostReserved: Bool = false) {
        self.id = id
        self.label = label
        self.standing = standing
        self.isHostReserved = isHostReserved
    }
}

/// What is plugged into a port.
public struct PortDevice: Sendable, Hashable {
    /// `idVendor`.
    public var vendor: UInt16
    /// `idProduct`.
    public var product: UInt16
    /// Its serial number, as it says; nil where it says none.
    public var serial: String?
    /// SHA-256 of its raw descriptors and its serial number: another device that says the same is the same to USB.
    public var descriptorHash: Digest256
    /// Its interfaces with their classes.
    public var interfaces: [USBInterface]
    /// Whether it is a hub and nothing else.
    public var isHub: Bool

    /// Describes a device.
    public init(
        vendor: UInt16, product: UInt16, serial: String?, descriptorHash: Digest256, interfaces: [USBInterface],
        isHub: Bool = false
    ) {
        self.vendor = vendor
        self.product = product
        self.serial = serial
        self.descriptorHash = descriptorHash
        self.interfaces = interfaces
        self.isHub = isHub
    }
}
