/// What a workload's resolver may answer, and what its answers open.
public struct EgressSets: Sendable, Hashable {
    /// The wire whose rules hold the sets.
    public let wire: NetworkPlan
    /// The allow-list.
    public let egress: [EgressRule]

    /// Addresses that one name may open at a time.
    public static let addressLimit = 1024
    /// The shortest and longest time that an answer opens an address for, in seconds. Programs keep answers for some
    /// time of their own, and try a connection more than once: an address that closes under them looks broken.
    public static let lifetimeSeconds = 30...3600

    /// Makes the sets of an allow-list.
    public init(wire: NetworkPlan, egress: [EgressRule]) {
        self.wire = wire
        self.egress = egress
    }

    /// A rule by name with ports, and the name of its sets without the family's suffix.
    public struct Name: Sendable, Hashable {
        /// The set, such as `name3`.
        public let set: String
        /// The rule.
        public let rule: EgressRule
        /// The name.
        public let host: HostName
    }

    /// The rules that answers fill.
    public var names: [Name] {
        egress.enumerated().compactMap { index, rule in
            guard case .name(let host) = rule.destination, !rule.ports.isEmpty else { return nil }
            return Name(set: "name\(index)", rule: rule, host: host)
        }
    }

    /// Whether anything may be looked up.
    public var hasNames: Bool {
        egress.contains { rule in
            if case .name = rule.destination { true } else { false }
        }
    }

    /// Whether the resolver answers a query at all.
    public func mayLookUp(_ query: String) -> Bool {
        egress.contains { rule in
            if case .name(let host) = rule.destination { host.matches(query) } else { false }
        }
    }

    /// Whether an answered address may be opened: a name must not lead to what no rule could name.
    public func mayOpen(_ address: NetworkAddress) -> Bool {
        guard let pool = wire.pool.prefixes else { return false }
        return !(Firewall.forbidden + [pool.version4, pool.version6]).contains { $0.contains(address) }
    }

    /// An address in a set.
    public struct Element: Sendable, Hashable {
        /// The set with the family's suffix, such as `name3_v4`.
        public let set: String
        /// The address.
        public let address: NetworkAddress
    }

    /// What an answer to a query opens; nothing where the name may only be looked up.
    public func elements(_ query: String, _ addresses: [NetworkAddress]) -> [Element] {
        let usable = addresses.filter(mayOpen)
        return names.filter { $0.host.matches(query) }.flatMap { name in
            usable.map { Element(set: "\(name.set)_\($0.isVersion4 ? "v4" : "v6")", address: $0) }
        }
    }

    /// Commands for `nft -f -` that open elements for so many seconds from now.
    ///
    /// An element that is there gets the new lifetime: it is added, deleted and added again in one transaction,
    /// because adding alone leaves the old one.
    public func opening(_ elements: [Element], seconds: Int) -> String {
        var lines: [String] = []
        for (set, members) in Dictionary(grouping: elements, by: \.set).sorted(by: { $0.key < $1.key }) {
            let name = "element inet apus_w\(wire.index) \(set)"
            let plain = members.map { "\($0.address)" }.joined(separator: ", ")
            let timed = members.map { "\($0.address) timeout \(seconds)s" }.joined(separator: ", ")
            lines += ["add \(name) { \(timed) }", "delete \(name) { \(plain) }", "add \(name) { \(timed) }"]
        }
        return lines.map { $0 + "\n" }.joined()
    }
}
