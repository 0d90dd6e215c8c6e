public import Contract

/// Who wants a port.
public enum PortSubject: Sendable, Hashable {
    /// The node's own drivers: console, storage of the system, its network.
    case host
    /// A user of the site, at a socket of the node or by the API.
    case user(String)
    /// A role of the site, for every user who has it.
    case group(String)
    /// A workload, by name.
    case workload(String)
}

/// What a rule is about: everything that it says must hold; what it does not say is not looked at.
public struct PortMatch: Sendable, Hashable {
    /// `idVendor`.
    public var vendor: UInt16?
    /// `idProduct`.
    public var product: UInt16?
    /// The serial number.
    public var serial: String?
    /// The very device, by what it says of itself.
    public var descriptorHash: Digest256?
    /// Classes of interfaces; the rule is about those interfaces alone. Empty for the whole device.
    public var interfaces: Set<ClassPattern>

    /// A class, a class and a subclass, or all three.
    public struct ClassPattern: Sendable, Hashable {
        /// The class.
        public var code: UInt8
        /// The subclass; nil for any.
        public var subclass: UInt8?
        /// The protocol; nil for any.
        public var protocolCode: UInt8?

        /// Makes a pattern.
        public init(code: UInt8, subclass: UInt8? = nil, protocolCode: UInt8? = nil) {
            self.code = code
            self.subclass = subclass
            self.protocolCode = protocolCode
        }

        func covers(_ usbClass: USBClass) -> Bool {
            code == usbClass.code && (subclass ?? usbClass.subclass) == usbClass.subclass
                && (protocolCode ?? usbClass.protocolCode) == usbClass.protocolCode
        }
    }

    /// Makes a match.
    public init(
        vendor: UInt16? = nil, product: UInt16? = nil, serial: String? = nil, descriptorHash: Digest256? = nil,
        interfaces: Set<ClassPattern> = []
    ) {
        self.vendor = vendor
        self.product = product
        self.serial = serial
        self.descriptorHash = descriptorHash
        self.interfaces = interfaces
    }

    /// Whether a device is meant; an Ethernet port, which has none, only where nothing is said of devices.
    func covers(_ device: PortDevice?) -> Bool {
        guard let device else { return self == PortMatch() }
        return (vendor ?? device.vendor) == device.vendor && (product ?? device.product) == device.product
            && (serial == nil || serial == device.serial)
            && (descriptorHash ?? device.descriptorHash) == device.descriptorHash
    }

    /// Whether an interface is allowed by this rule: every class that it may come to have must be.
    func allows(_ interface: USBInterface) -> Bool {
        interfaces.isEmpty
            || (!interface.classes.isEmpty
                && interface.classes.allSatisfy { usbClass in interfaces.contains { $0.covers(usbClass) } })
    }

    /// Whether an interface is denied by this rule: one class that it may come to have is enough.
    func denies(_ interface: USBInterface) -> Bool {
        interfaces.isEmpty || interface.classes.contains { usbClass in interfaces.contains { $0.covers(usbClass) } }
    }
}

/// Which ports a rule is about.
public struct PortSelector: Sendable, Hashable {
    /// Ports by their place; nil for all.
    public var ids: Set<PortID>?
    /// Ports by their label; nil for all.
    public var labels: Set<String>?
    /// The kind of port; nil for both.
    public var kind: PortID.Kind?

    /// Makes a selector.
    public init(ids: Set<PortID>? = nil, labels: Set<String>? = nil, kind: PortID.Kind? = nil) {
        self.ids = ids
        self.labels = labels
        self.kind = kind
    }

    func covers(_ port: Port) -> Bool {
        (ids?.contains(port.id) ?? true) && (labels.map { port.label.map($0.contains) ?? false } ?? true)
            && (kind ?? port.id.kind) == port.id.kind
    }
}

/// A rule against something, which nothing overrules.
public struct PortDeny: Sendable, Hashable {
    /// Names it.
    public var id: String
    /// Whom it is against; nil for everybody, the host included.
    public var subject: PortSubject?
    /// Where.
    public var ports: PortSelector
    /// What.
    public var match: PortMatch

    /// Makes a rule.
    public init(
        id: String, subject: PortSubject? = nil, ports: PortSelector = PortSelector(), match: PortMatch = PortMatch()
    ) {
        self.id = id
        self.subject = subject
        self.ports = ports
        self.match = match
    }
}

/// What a grant allows.
public struct PortRole: Sendable, Hashable {
    /// What its holder may do.
    public var verbs: Set<Verb>
    /// Where.
    public var ports: PortSelector
    /// With what, any one of them; empty for anything.
    public var matches: Set<PortMatch>

    /// What can be done with a port.
    public enum Verb: String, Sendable, Codable, CaseIterable {
        /// To see it in lists.
        case see
        /// To have what is in it.
        case use
    }

    /// Makes a role.
    public init(verbs: Set<Verb>, ports: PortSelector = PortSelector(), matches: Set<PortMatch> = []) {
        self.verbs = verbs
        self.ports = ports
        self.matches = matches
    }
}

/// A role for a subject, perhaps for a time.
public struct PortGrant: Sendable, Hashable {
    /// Names it.
    public var id: String
    /// Who has it.
    public var subject: PortSubject
    /// The role's name.
    public var role: String
    /// When it ends, in seconds since 1970; nil for never.
    public var untilSeconds: Int64?

    /// Makes a grant.
    public init(id: String, subject: PortSubject, role: String, untilSeconds: Int64? = nil) {
        self.id = id
        self.subject = subject
        self.role = role
        self.untilSeconds = untilSeconds
    }
}

/// What a consumer gets: what may be had is one thing, what is to be had another.
public struct PortBinding: Sendable, Hashable {
    /// Names it.
    public var id: String
    /// Who gets it.
    public var consumer: PortSubject
    /// From where.
    public var ports: PortSelector
    /// What.
    public var match: PortMatch
    /// How.
    public var mode: Mode
    /// Whether nobody else gets it meanwhile.
    public var isExclusive: Bool

    /// In what form a device is handed over.
    public enum Mode: String, Sendable, Codable, CaseIterable {
        /// The whole device, by usbfs.
        case raw
        /// A character device of a serial line.
        case serial
        /// A block device that can only be read.
        case blockReadOnly = "block-read-only"
        /// A block device.
        case block
        /// A hidraw device.
        case hid
        /// A video device.
        case video
        /// A sound device.
        case sound
        /// A network interface.
        case network
    }

    /// Makes a binding.
    public init(
        id: String, consumer: PortSubject, ports: PortSelector, match: PortMatch = PortMatch(), mode: Mode,
        isExclusive: Bool = true
    ) {
        self.id = id
        self.consumer = consumer
        self.ports = ports
        self.match = match
        self.mode = mode
        self.isExclusive = isExclusive
    }
}

/// A device that was there when the node registered: it goes on working for the host, in its own port.
public struct RegisteredDevice: Sendable, Hashable {
    /// Its port.
    public var port: PortID
    /// What it said of itself.
    public var descriptorHash: Digest256

    /// Makes an entry.
    public init(port: PortID, descriptorHash: Digest256) {
        self.port = port
        self.descriptorHash = descriptorHash
    }
}

/// Everything that decides about a node's ports. Rules have no order.
public struct PortPolicy: Sendable, Hashable {
    /// Rises with each change; a node takes none that is older than its own.
    public var version: Int64
    /// What is denied.
    public var denies: Set<PortDeny>
    /// The roles by name.
    public var roles: [String: PortRole]
    /// Who has which role.
    public var grants: Set<PortGrant>
    /// Who gets what.
    public var bindings: Set<PortBinding>
    /// What was there at registration.
    public var registered: Set<RegisteredDevice>
    /// Whether keyboards that were there at registration reach the console.
    public var allowsConsoleKeyboard: Bool

    /// Makes a policy; without rules the host has its internal and registered devices, and everything else is dead.
    public init(
        version: Int64 = 0, denies: Set<PortDeny> = [], roles: [String: PortRole] = [:], grants: Set<PortGrant> = [],
        bindings: Set<PortBinding> = [], registered: Set<RegisteredDevice> = [], allowsConsoleKeyboard: Bool = false
    ) {
        self.version = version
        self.denies = denies
        self.roles = roles
        self.grants = grants
        self.bindings = bindings
        self.registered = registered
        self.allowsConsoleKeyboard = allowsConsoleKeyboard
    }
}
