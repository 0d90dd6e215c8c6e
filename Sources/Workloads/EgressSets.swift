/// What a workload's resolver may answer, and what its answers open.
public struct EgressSets: Sendable, Hashable {
    /// The wire whose rules hold the sets.
    public let wire: NetworkPlan
    /// The allow-list.
    public let egress: [EgressRule]

    /// Addresses that one name may open at a time.
    public static let addressLimit = 1024
    /// The shortest and longest time that an answer opens an address, in seconds: a shorter one would close before
    /// it could be used.
    public static let lifetimeSeconds = 10...3600

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

    /// Whether the resolver answers a query at all. Names of links are answered beside this.
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

    /// Commands for `nft -f -` that open what was answered for a query, for its lifetime; nil where nothing is.
    ///
    /// An element that is there gets the new lifetime: it is added, deleted and added again in one transaction,
    /// because adding alone leaves the old one.
    public func opening(_ query: String, _ addresses: [NetworkAddress], timeToLiveSeconds: Int) -> String? {
        let seconds = min(max(timeToLiveSeconds, Self.lifetimeSeconds.lowerBound), Self.lifetimeSeconds.upperBound)
        let usable = addresses.prefix(64).filter(mayOpen)
        var lines: [String] = []
        for name in names where name.host.matches(query) {
            for address in usable {
                let set = "element inet apus_w\(wire.index) \(name.set)_\(address.isVersion4 ? "v4" : "v6")"
                lines += [
                    "add \(set) { \(address) timeout \(seconds)s }", "delete \(set) { \(address) }",
                    "add \(set) { \(address) timeout \(seconds)s }",
                ]
            }
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n") + "\n"
    }
}
