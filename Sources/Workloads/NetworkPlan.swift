import Contract

/// The addresses that a node's workloads are given.
public struct NetworkPool: Sendable, Codable, Hashable {
    /// The text of an IPv4 prefix of /12 to /24.
    public var version4: String
    /// The text of an IPv6 prefix of /48 to /112.
    public var version6: String

    /// Makes a pool; the default is from the shared space of RFC 6598 and from RFC 4193.
    public init(version4: String = "100.127.0.0/16", version6: String = "fd61:7075:7300::/64") {
        self.version4 = version4
        self.version6 = version6
    }

    /// The prefixes; nil where the texts are none, or of the wrong size.
    public var prefixes: (version4: NetworkPrefix, version6: NetworkPrefix)? {
        guard let four = NetworkPrefix(version4), four.isVersion4, (12...24).contains(four.length),
            let six = NetworkPrefix(version6), !six.isVersion4, (48...112).contains(six.length)
        else { return nil }
        return (four, six)
    }
}

/// The wire between the node and one running revision: a veth pair with routed addresses and no bridge, so that two
/// workloads share no link layer. The agent enters both ends' hardware addresses as permanent neighbours, so that
/// nothing that a workload sends changes them.
public struct NetworkPlan: Sendable, Hashable {
    /// Its number on the node, from 1; two running revisions never share one.
    public let index: Int
    /// The pool that all workloads of the node are in.
    public let pool: NetworkPool
    /// The node's end, `apw` and the number.
    public var hostInterface: String { "\(Self.interfacePrefix)\(index)" }
    /// The workload's end.
    public var guestInterface: String { "eth0" }
    /// The network namespace that the agent makes; it belongs to the node's user namespace, so that the workload has
    /// no capability over it.
    public var namespacePath: String { "/run/apus/netns/\(hostInterface)" }
    /// The node's address on the wire, with `/31`: the workload's gateway and resolver.
    public let hostVersion4: NetworkAddress
    /// The workload's address, with `/31` (RFC 3021).
    public let guestVersion4: NetworkAddress
    /// The node's IPv6 address, with `/127` (RFC 6164).
    public let hostVersion6: NetworkAddress
    /// The workload's IPv6 address, with `/127`.
    public let guestVersion6: NetworkAddress
    /// The hardware address of the node's end.
    public var hostMAC: String { Self.mac(index, kind: 0x6E) }
    /// The hardware address of the workload's end.
    public var guestMAC: String { Self.mac(index, kind: 0x77) }

    /// The hardware address of a machine's side of the wire: its own is `guestMAC`, and a bridge lies between.
    public var bridgeMAC: String { Self.mac(index, kind: 0x62) }
    /// The interface that QEMU opens, beside the wire's end and on one bridge with it.
    public static let tapInterface = "tap0"

    /// What every node's end is called like.
    public static let interfacePrefix = "apw"

    /// Settings that the agent writes inside the namespace before the workload starts: names below `/proc/sys`.
    ///
    /// Ports below 1024 need no capability in a namespace of one's own; router advertisements are not believed.
    public static let settings: [String: String] = [
        "net/ipv4/ip_unprivileged_port_start": "0", "net/ipv4/ping_group_range": "0 65535",
        "net/ipv6/conf/eth0/accept_ra": "0", "net/ipv6/conf/eth0/autoconf": "0",
        "net/ipv6/conf/eth0/addr_gen_mode": "1",
    ]

    /// The wire with a number; nil where the pool is not usable or has no such number.
    public init?(index: Int, pool: NetworkPool = NetworkPool()) {
        guard let prefixes = pool.prefixes, (1...WorkloadLimit.workloadsPerNode * 4).contains(index),
            index * 2 + 1 < 1 << (32 - prefixes.version4.length)
        else { return nil }
        let offset = UInt32(index * 2)
        guard let host4 = prefixes.version4.address.advanced(by: offset),
            let guest4 = host4.advanced(by: 1), let host6 = prefixes.version6.address.advanced(by: offset),
            let guest6 = host6.advanced(by: 1)
        else { return nil }
        self.index = index
        self.pool = pool
        (hostVersion4, guestVersion4, hostVersion6, guestVersion6) = (host4, guest4, host6, guest6)
    }

    /// A locally administered address (IEEE 802, section 8.2.2): 02, `apu`, and the number.
    private static func mac(_ index: Int, kind: UInt8) -> String {
        let bytes: [UInt8] = [
            0x02, 0x61, 0x70, kind, UInt8(truncatingIfNeeded: index >> 8),
            UInt8(truncatingIfNeeded: index),
        ]
        return bytes.map { [$0].lowercaseHex }.joined(separator: ":")
    }
}

/// Another workload on the other side of a link.
public struct NetworkPeer: Sendable, Hashable {
    /// The other's wire.
    public var wire: NetworkPlan
    /// The ports at which connections arrive, TCP and UDP.
    public var ports: [PortRange]

    /// Makes a peer.
    public init(wire: NetworkPlan, ports: [PortRange]) {
        self.wire = wire
        self.ports = ports
    }
}
