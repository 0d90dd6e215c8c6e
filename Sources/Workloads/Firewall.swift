/// The nftables rules of one running revision, as text for `nft -f -` (nft(8)).
///
/// Every text replaces the revision's own tables in one transaction and touches no others. Only names, numbers and
/// addresses that were parsed stand in it. A packet that a workload's rules accept gets a mark; `guardRules`, loaded
/// once before the first workload, drops what has none, so that missing rules close the wire instead of opening it.
public struct Firewall: Sendable, Hashable {
    /// The wire.
    public var wire: NetworkPlan
    /// What the workload may connect to.
    public var egress: [EgressRule]
    /// Ports of the node that lead to it; empty while another revision still has them.
    public var ports: [PublishedPort]
    /// Workloads that it may connect to.
    public var links: [NetworkPeer]
    /// Workloads that may connect to it.
    public var clients: [NetworkPeer]

    /// Connections of one workload at a time; the node's table of connections is shared.
    public static let connectionLimit = 4096
    /// New connections of one workload in a second.
    public static let newConnectionsPerSecond = 500

    /// Makes rules.
    public init(
        wire: NetworkPlan, egress: [EgressRule], ports: [PublishedPort] = [], links: [NetworkPeer] = [],
        clients: [NetworkPeer] = []
    ) {
        self.wire = wire
        self.egress = egress
        self.ports = ports
        self.links = links
        self.clients = clients
    }

    /// What no workload reaches, whatever its allow-list says: this host, link-local addresses and with them the
    /// metadata services of clouds (through NAT64 too), the metadata addresses outside that range, groups and
    /// reserved ranges.
    public static let forbidden: [NetworkPrefix] = [
        "0.0.0.0/8", "100.100.100.200/32", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.192/32",
        "224.0.0.0/3", "::/127", "::ffff:0:0/96", "64:ff9b::a9fe:0/112", "fd00:ec2::254/128",
        "fd20:ce::254/128", "fe80::/10", "ff00::/8",
    ].compactMap { NetworkPrefix($0) }

    /// Marks of packets that a workload's rules let out, and let in.
    static let markOut = "0x10000"
    static let markIn = "0x20000"

    /// The table's name, in the families `inet` and `netdev`.
    public var table: String { "apus_w\(wire.index)" }

    /// Rules that drop every workload's packets unless the workload's own rules accepted them.
    public static let guardRules = """
        table inet apus_guard {}
        delete table inet apus_guard
        table inet apus_guard {
            chain forward {
                type filter hook forward priority filter + 10; policy accept;
                iifname "\(NetworkPlan.interfacePrefix)*" meta mark & \(markOut) == 0 drop
                oifname "\(NetworkPlan.interfacePrefix)*" meta mark & \(markIn) == 0 drop
            }
            chain input {
                type filter hook input priority filter + 10; policy accept;
                iifname "\(NetworkPlan.interfacePrefix)*" meta mark & \(markOut) == 0 drop
            }
        }

        """

    /// Rules that take this revision's tables away.
    public var removal: String {
        ["inet", "netdev"].map { "table \($0) \(table) {}\ndelete table \($0) \(table)\n" }.joined()
    }

    /// The rules. What answers have opened stays open when they replace themselves: only chains are emptied.
    public var rules: String {
        """
        table netdev \(table) {}
        delete table netdev \(table)
        \(linkLayer)
        table inet \(table) {}
        flush table inet \(table)
        table inet \(table) {
        \(sets.joined())    chain forward {
                type filter hook forward priority filter; policy accept;
                iifname "\(wire.hostInterface)" jump leaving
                oifname "\(wire.hostInterface)" jump arriving
            }
            chain input {
                type filter hook input priority filter; policy accept;
                iifname "\(wire.hostInterface)" jump to_node
            }
            chain leaving {
        \(indent(leaving))
            }
            chain arriving {
        \(indent(arriving))
            }
            chain to_node {
        \(indent(toNode))
            }
        \(translation)}

        """
    }

    private func indent(_ lines: [String]) -> String { lines.map { "        \($0)" }.joined(separator: "\n") }

    /// What leaves the wire must come from its own hardware and network addresses.
    private var linkLayer: String {
        """
        table netdev \(table) {
            chain ingress {
                type filter hook ingress device "\(wire.hostInterface)" priority filter; policy drop;
                ether saddr != \(wire.guestMAC) drop
                ether type arp arp saddr ether \(wire.guestMAC) arp saddr ip \(wire.guestVersion4) accept
                ether type ip ip saddr \(wire.guestVersion4) accept
                ether type ip6 icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop
                ether type ip6 ip6 saddr :: icmpv6 type nd-neighbor-solicit accept
                ether type ip6 ip6 saddr \(wire.guestVersion6) accept
            }
        }
        """
    }

    /// Sets that the resolver's answers fill.
    private var sets: [String] {
        EgressSets(wire: wire, egress: egress).names.flatMap { name in
            [("v4", "ipv4_addr"), ("v6", "ipv6_addr")].map { family, type in
                """
                    set \(name.set)_\(family) {
                        type \(type)
                        flags timeout
                        size \(EgressSets.addressLimit)
                    }

                """
            }
        }
    }

    private var leaving: [String] {
        let forbidden4 = Self.forbidden.filter(\.isVersion4).map(\.description).joined(separator: ", ")
        let forbidden6 = Self.forbidden.filter { !$0.isVersion4 }.map(\.description).joined(separator: ", ")
        let accept = "meta mark set meta mark | \(Self.markOut) accept"
        let rate = Self.newConnectionsPerSecond
        var lines = [
            "ct state invalid drop", "ct state established,related \(accept)", "ip daddr { \(forbidden4) } drop",
            "ip6 daddr { \(forbidden6) } drop",
            "ct state new limit rate over \(rate)/second burst \(rate) packets drop",
            "ct state new ct count over \(Self.connectionLimit) drop",
        ]
        for peer in links {
            lines += Self.matches("oifname", "daddr", peer).map { "\($0) \(accept)" }
        }
        lines += [
            "oifname \"\(NetworkPlan.interfacePrefix)*\" drop", "ip daddr \(wire.pool.version4) drop",
            "ip6 daddr \(wire.pool.version6) drop",
        ]
        lines += (prefixRules + nameRules).map { "\($0) \(accept)" }
        return lines + ["drop"]
    }

    /// What matches a peer's packets at its ports.
    private static func matches(_ interface: String, _ end: String, _ peer: NetworkPeer) -> [String] {
        var lines: [String] = []
        for ports in Self.ports(peer.ports) {
            let wire = "\(interface) \"\(peer.wire.hostInterface)\""
            lines.append("\(wire) ip \(end) \(peer.wire.guestVersion4) \(ports)")
            lines.append("\(wire) ip6 \(end) \(peer.wire.guestVersion6) \(ports)")
        }
        return lines
    }

    private var prefixRules: [String] {
        egress.compactMap { rule in
            guard case .prefix(let prefix) = rule.destination, !rule.ports.isEmpty else { return nil }
            return "\(prefix.isVersion4 ? "ip" : "ip6") daddr \(prefix) \(Self.ports(rule.ports, rule.transport))"
        }
    }

    private var nameRules: [String] {
        EgressSets(wire: wire, egress: egress).names.flatMap { name in
            let ports = Self.ports(name.rule.ports, name.rule.transport)
            return ["ip daddr @\(name.set)_v4 \(ports)", "ip6 daddr @\(name.set)_v6 \(ports)"]
        }
    }

    private var arriving: [String] {
        let accept = "meta mark set meta mark | \(Self.markIn) accept"
        var lines = ["ct state invalid drop", "ct state established,related \(accept)"]
        lines += ports.map { "ct status dnat \($0.transport.rawValue) dport \($0.target) \(accept)" }
        for peer in clients {
            lines += Self.matches("iifname", "saddr", peer).map { "\($0) \(accept)" }
        }
        return lines + ["drop"]
    }

    /// Questions of one workload to its resolver in a second; the node's resolver is shared.
    public static let questionsPerSecond = 200

    /// Of the node a workload reaches its own resolver, where it may look names up, and neighbour discovery.
    private var toNode: [String] {
        let accept = "meta mark set meta mark | \(Self.markOut) accept"
        let established = "ct state established,related \(accept)"
        var lines = ["ct state invalid drop"]
        if EgressSets(wire: wire, egress: egress).hasNames {
            let rate = "limit rate over \(Self.questionsPerSecond)/second burst \(Self.questionsPerSecond) packets drop"
            lines += ["udp dport 53 \(rate)", "tcp dport 53 ct state new \(rate)", established]
            lines += ["udp", "tcp"].map { "ip daddr \(wire.hostVersion4) \($0) dport 53 \(accept)" }
        } else {
            lines.append(established)
        }
        return lines + ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } \(accept)", "drop"]
    }

    /// Published ports lead in; what goes out has the node's address.
    private var translation: String {
        let outside = "oifname != \"\(NetworkPlan.interfacePrefix)*\" masquerade"
        return """
                chain prerouting {
                    type nat hook prerouting priority dstnat; policy accept;
            \(indent(ports.flatMap(published)))
                }
                chain postrouting {
                    type nat hook postrouting priority srcnat; policy accept;
                    ip saddr \(wire.guestVersion4) \(outside)
                    ip6 saddr \(wire.guestVersion6) \(outside)
                }

            """
    }

    /// Workloads do not reach each other by way of a published port: they link.
    private func published(_ port: PublishedPort) -> [String] {
        let outside = "iifname != \"\(NetworkPlan.interfacePrefix)*\" fib daddr type local"
        let match = "\(port.transport.rawValue) dport \(port.published)"
        let host = port.hostAddress
        var lines: [String] = []
        if host?.isVersion4 ?? true {
            let address = host.map { "ip daddr \($0) " } ?? ""
            lines.append(
                "meta nfproto ipv4 \(outside) \(address)\(match) dnat ip to \(wire.guestVersion4):\(port.target)")
        }
        if !(host?.isVersion4 ?? false) {
            let address = host.map { "ip6 daddr \($0) " } ?? ""
            lines.append(
                "meta nfproto ipv6 \(outside) \(address)\(match) dnat ip6 to [\(wire.guestVersion6)]:\(port.target)")
        }
        return lines
    }

    private static func ports(_ ports: [PortRange]) -> [String] {
        ports.isEmpty ? [] : TransportProtocol.allCases.map { Self.ports(ports, $0) }
    }

    private static func ports(_ ports: [PortRange], _ transport: TransportProtocol) -> String {
        "\(transport.rawValue) dport { \(merged(ports).map(\.description).joined(separator: ", ")) }"
    }

    /// Sorted and joined where they overlap, which an anonymous set of nftables must not.
    static func merged(_ ports: [PortRange]) -> [PortRange] {
        ports.sorted().reduce(into: [PortRange]()) { result, next in
            if let last = result.last, next.first <= last.last,
                let joined = PortRange(last.first, max(last.last, next.last))
            {
                result[result.count - 1] = joined
            } else {
                result.append(next)
            }
        }
    }
}
