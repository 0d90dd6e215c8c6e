/// Transport protocols that rules name.
public enum TransportProtocol: String, Sendable, Hashable, CaseIterable {
    /// TCP.
    case tcp
    /// UDP.
    case udp
}

/// One or several neighbouring ports, 1 to 65535.
public struct PortRange: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The first.
    public let first: UInt16
    /// The last.
    public let last: UInt16

    /// Makes a range; nil for port 0 or an empty range.
    public init?(_ first: UInt16, _ last: UInt16) {
        guard first > 0, first <= last else { return nil }
        self.first = first
        self.last = last
    }

    /// Reads `443` or `8000-8010`.
    public init?(_ text: String) {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        func port(_ text: Substring) -> UInt16? {
            text.utf8.allSatisfy { (0x30...0x39).contains($0) } && !text.hasPrefix("0") ? UInt16(text) : nil
        }
        guard let lower = ends.first.flatMap(port), let upper = ends.last.flatMap(port) else { return nil }
        self.init(lower, upper)
    }

    /// Whether a port lies inside.
    public func contains(_ port: UInt16) -> Bool { (first...last).contains(port) }

    /// `443` or `8000-8010`.
    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }

    /// By the first port, then the last.
    public static func < (one: PortRange, two: PortRange) -> Bool { (one.first, one.last) < (two.first, two.last) }

    init?(_ item: DocumentItem) {
        let text: String? =
            switch item.value {
            case .integer(let number): String(number)
            case .string(let text): text
            default: nil
            }
        guard let range = text.flatMap(PortRange.init) else {
            item.fail("allowed is a port from 1 to 65535, or a range such as 8000-8010")
            return nil
        }
        self = range
    }
}

/// One line of a workload's allow-list.
public struct EgressRule: Sendable, Hashable {
    /// Where to.
    public var destination: Destination
    /// Which protocol.
    public var transport: TransportProtocol
    /// Which ports; empty for a name that may be looked up and not connected to.
    public var ports: [PortRange]

    /// Where a rule leads.
    public enum Destination: Sendable, Hashable {
        /// The addresses that the workload's own resolver answered for a name, for their lifetime.
        case name(HostName)
        /// A range of addresses.
        case prefix(NetworkPrefix)

        /// The text form.
        public var text: String {
            switch self {
            case .name(let name): name.rawValue
            case .prefix(let prefix): prefix.description
            }
        }
    }

    /// Makes a rule.
    public init(destination: Destination, transport: TransportProtocol = .tcp, ports: [PortRange]) {
        self.destination = destination
        self.transport = transport
        self.ports = ports
    }

    init?(_ item: DocumentItem) {
        guard var reader = DocumentReader(item) else { return nil }
        let destination = reader.require("to", "a name, an address or a prefix")?.parsed(
            "a name such as api.example.com or *.example.com, an address, or a prefix whose host bits are zero"
        ) { text -> Destination? in
            if let prefix = NetworkPrefix(text) { return .prefix(prefix) }
            return HostName(text, allowsWildcard: true).map { .name($0) }
        }
        let transport = reader.take("protocol")?.choice(TransportProtocol.self) ?? .tcp
        let list = reader.require("ports", "a list of ports; an empty one only lets a name be looked up")
        let ports = list?.list(limit: 64)?.compactMap { PortRange($0) }
        reader.finish()
        guard let destination, let ports else { return nil }
        if ports.isEmpty, case .prefix = destination { list?.fail("a rule for addresses needs at least one port") }
        self.init(destination: destination, transport: transport, ports: ports)
    }

    var value: DocumentValue {
        .object([
            "to": .string(destination.text), "protocol": .string(transport.rawValue),
            "ports": .array(ports.map { .string($0.description) }),
        ])
    }
}

/// A port of the node that leads to a port of the workload.
public struct PublishedPort: Sendable, Hashable {
    /// The node's address; nil for all of them.
    public var hostAddress: NetworkAddress?
    /// The node's port.
    public var published: UInt16
    /// The workload's port.
    public var target: UInt16
    /// Which protocol.
    public var transport: TransportProtocol

    /// Makes a published port.
    public init(
        hostAddress: NetworkAddress? = nil, published: UInt16, target: UInt16, transport: TransportProtocol = .tcp
    ) {
        self.hostAddress = hostAddress
        self.published = published
        self.target = target
        self.transport = transport
    }

    /// The short syntax `[host:]published:target[/protocol]` or the long one of the Compose Specification.
    init?(_ item: DocumentItem) {
        if case .string = item.value {
            let allowed = "published:target such as 8080:80, 8080:80/udp, 192.0.2.1:8080:80 or [2001:db8::1]:8080:80"
            guard let port = item.parsed(allowed, Self.short) else { return nil }
            self = port
            return
        }
        guard var reader = DocumentReader(item) else { return nil }
        let target = reader.require("target", "the workload's port")?.port()
        let published = reader.require("published", "the node's port")?.port()
        let transport = reader.take("protocol")?.choice(TransportProtocol.self) ?? .tcp
        let host = reader.take("host_ip")?.parsed("an address") { NetworkAddress($0) }
        reader.finish(hints: ["mode": "every published port is the node's own", "name": "ports have no names here"])
        guard let target, let published else { return nil }
        self.init(hostAddress: host, published: published, target: target, transport: transport)
    }

    private static func short(_ text: String) -> PublishedPort? {
        let ends = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let transport = ends.count == 2 ? TransportProtocol(rawValue: ends[1]) : .tcp else { return nil }
        var parts = ends[0].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2, let target = PortRange(parts.removeLast()), let host = PortRange(parts.removeLast()),
            target.first == target.last, host.first == host.last
        else { return nil }
        var address: NetworkAddress?
        if !parts.isEmpty {
            var text = parts.joined(separator: ":")
            if text.hasPrefix("["), text.hasSuffix("]") { text = String(text.dropFirst().dropLast()) }
            guard let parsed = NetworkAddress(text) else { return nil }
            address = parsed
        }
        return PublishedPort(hostAddress: address, published: host.first, target: target.first, transport: transport)
    }

    /// Whether both want the same port of the node.
    public func conflicts(with other: PublishedPort) -> Bool {
        published == other.published && transport == other.transport
            && (hostAddress == nil || other.hostAddress == nil || hostAddress == other.hostAddress)
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = [
            "published": .integer(Int64(published)), "target": .integer(Int64(target)),
            "protocol": .string(transport.rawValue),
        ]
        fields["host_ip"] = hostAddress.map { .string($0.description) }
        return .object(fields)
    }
}

/// Another workload on the node that this one may connect to, at the ports that the other exposes.
public struct WorkloadLink: Sendable, Hashable {
    /// The other workload.
    public var workload: WorkloadName
    /// The name that resolves to it.
    public var alias: WorkloadName

    /// Makes a link; the alias is the other's name unless one is given.
    public init(workload: WorkloadName, alias: WorkloadName? = nil) {
        self.workload = workload
        self.alias = alias ?? workload
    }

    /// `name` or `name:alias`, as the Compose Specification has it.
    init?(_ item: DocumentItem) {
        let link = item.parsed("a workload's name, or name:alias, each \(WorkloadName.allowed)") { text in
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { WorkloadName(String($0)) }
            guard (1...2).contains(parts.count), let name = parts[0], let alias = parts[parts.count - 1] else {
                return WorkloadLink?.none
            }
            return WorkloadLink(workload: name, alias: alias)
        }
        guard let link else { return nil }
        self = link
    }

    var value: DocumentValue { .string(alias == workload ? workload.rawValue : "\(workload):\(alias)") }
}

extension DocumentItem {
    /// A single port.
    func port() -> UInt16? {
        guard let range = PortRange(self) else { return nil }
        guard range.first == range.last else {
            fail("allowed is one port from 1 to 65535")
            return nil
        }
        return range.first
    }
}
