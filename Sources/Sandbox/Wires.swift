internal import Contract
internal import Linux
internal import Workloads

/// Network namespaces, wires and rules, by `unshare(1)`, `nsenter(1)`, `ip(8)` and `nft(8)`.
///
/// A wire carries nothing before its rules stand: the guard drops what no rule accepted, and the node's end comes up
/// only after its own rules were loaded.
struct Wires: Sendable {
    let places: NodePlaces
    /// Words before every command that concerns the node's own network; a test's node is a namespace.
    var prefix: [String] = []

    private static let timeoutSeconds = 30

    /// Loads the guard, and lets the node forward packets, which nothing but a workload's wire then uses.
    func prepareNode() throws {
        let script = """
            forwarding=$(cat /proc/sys/net/ipv4/ip_forward)
            if [ "$forwarding" = 0 ]; then
                nft -f - <<'END'
            \(Self.forwardGuard)
            END
                echo 1 >/proc/sys/net/ipv4/ip_forward
                if [ -e /proc/sys/net/ipv6/conf/all/forwarding ]; then
                    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
                fi
            fi
            """
        try run(["nft", "-f", "-"], input: Firewall.guardRules)
        try run(["/bin/sh", "-ec", script])
    }

    /// A node that did not forward before forwards for workloads only.
    private static let forwardGuard = """
        table inet apus_node {}
        delete table inet apus_node
        table inet apus_node {
            chain forward {
                type filter hook forward priority filter + 20; policy accept;
                iifname != "\(NetworkPlan.interfacePrefix)*" oifname != "\(NetworkPlan.interfacePrefix)*" drop
            }
        }
        """

    /// Makes a namespace and its wire, down; over what is left of an earlier one.
    ///
    /// - Parameter machineUser: whose machine is behind a bridge at the wire's end; nil for a container, which has the
    ///   wire's end itself.
    func make(_ wire: NetworkPlan, machineUser: UInt32? = nil) throws {
        try remove(wire)
        let namespace = places.namespace(wire)
        try Files.makeDirectory(places.namespaces, mode: 0o711)
        try Files.writeDurably([], to: namespace)
        try run(["unshare", "--net=\(namespace)", "/bin/true"])
        try run(
            ["ip", "-batch", "-"],
            input: """
                link add \(wire.hostInterface) address \(wire.hostMAC) type veth peer name \(wire.guestInterface) \
                address \(machineUser == nil ? wire.guestMAC : wire.bridgeMAC) netns \(namespace)

                """)
    }

    /// Brings a wire up; its rules stand.
    func raise(_ wire: NetworkPlan, machineUser: UInt32? = nil) throws {
        try run(
            ["ip", "-batch", "-"],
            input: """
                addr add \(wire.hostVersion4)/31 dev \(wire.hostInterface)
                addr add \(wire.hostVersion6)/127 dev \(wire.hostInterface) nodad
                link set \(wire.hostInterface) up
                neigh replace \(wire.guestVersion4) dev \(wire.hostInterface) lladdr \(wire.guestMAC) nud permanent
                neigh replace \(wire.guestVersion6) dev \(wire.hostInterface) lladdr \(wire.guestMAC) nud permanent

                """)
        if let machineUser { return try bridge(wire, user: machineUser) }
        let guest = wire.guestInterface
        let settings = NetworkPlan.settings.sorted { $0.key < $1.key }.map { name, value in
            "[ ! -e /proc/sys/\(name) ] || echo '\(value)' >/proc/sys/\(name)"
        }
        let batch = """
            link set lo up
            addr add \(wire.guestVersion4)/31 dev \(guest)
            addr add \(wire.guestVersion6)/127 dev \(guest) nodad
            link set \(guest) up
            neigh replace \(wire.hostVersion4) dev \(guest) lladdr \(wire.hostMAC) nud permanent
            neigh replace \(wire.hostVersion6) dev \(guest) lladdr \(wire.hostMAC) nud permanent
            route add default via \(wire.hostVersion4)
            route add default via \(wire.hostVersion6)
            """
        let script = settings.joined(separator: "\n") + "\nip -batch - <<'END'\n\(batch)\nEND\n"
        try run(["nsenter", "--net=\(places.namespace(wire))", "/bin/sh", "-ec", script])
    }

    /// Puts a machine behind a wire: the interface that QEMU opens, which belongs to the machine's user, and the wire's
    /// end are the ports of a bridge without an address. Nothing in the namespace answers the machine, and the bridge
    /// learns no addresses: with two ports there is one way, and a machine that makes addresses up fills no table.
    private func bridge(_ wire: NetworkPlan, user: UInt32) throws {
        let tap = NetworkPlan.tapInterface
        let batch = """
            tuntap add dev \(tap) mode tap user \(user)
            link add bridge type bridge stp_state 0 mcast_snooping 0
            link set \(wire.guestInterface) master bridge
            link set \(tap) master bridge
            link set \(wire.guestInterface) type bridge_slave learning off
            link set \(tap) type bridge_slave learning off
            link set \(wire.guestInterface) up
            link set \(tap) up
            link set bridge up
            """
        let script = """
            for setting in all default; do
                name=/proc/sys/net/ipv6/conf/$setting/disable_ipv6
                [ ! -e $name ] || echo 1 >$name
            done
            ip -batch - <<'END'
            \(batch)
            END

            """
        try run(["nsenter", "--net=\(places.namespace(wire))", "/bin/sh", "-ec", script])
    }

    /// Takes a wire, its rules and its namespace away; what is not there is fine.
    func remove(_ wire: NetworkPlan) throws {
        _ = try? run(["ip", "link", "delete", wire.hostInterface])
        _ = try? run(["nft", "-f", "-"], input: Firewall(wire: wire, egress: []).removal)
        let namespace = places.namespace(wire)
        guard Files.exists(namespace) else { return }
        if Files.isNamespace(namespace) { try Mounts.unmount(namespace, lazily: true) }
        try Files.remove(namespace)
    }

    /// Replaces the rules of wires, in one transaction.
    func apply(_ rules: [String]) throws {
        guard !rules.isEmpty else { return }
        try run(["nft", "-f", "-"], input: rules.joined())
    }

    @discardableResult
    private func run(_ words: [String], input: String = "") throws -> Processes.Outcome {
        let all = prefix + words
        let outcome = try Processes.run(
            "/usr/bin/env", all, input: Array(input.utf8), timeoutSeconds: Self.timeoutSeconds)
        guard outcome.succeeded else {
            throw SandboxError("\(words.prefix(2).joined(separator: " ")) \(outcome.summary)")
        }
        return outcome
    }
}

/// One running revision's end of a wire, as rules need it.
struct WireEnd: Sendable, Equatable {
    var key: RevisionKey
    var wire: NetworkPlan
    var revision: Revision
    /// Whether the node's published ports lead here.
    var holdsPorts: Bool
    /// When it was launched last, in milliseconds of this boot; 0 for not yet.
    var launchedMilliseconds: Int64
}

/// The rules of all wires of the node together: who may reach whom depends on who is there.
enum WireRules {
    /// The rules by the wire's number.
    static func all(_ ends: [WireEnd]) -> [Int: Firewall] {
        var rules: [Int: Firewall] = [:]
        for end in ends {
            let links = end.revision.links.flatMap { link in
                ends.filter { $0.key.workload == link.workload }.map {
                    NetworkPeer(wire: $0.wire, ports: $0.revision.linkPorts)
                }
            }
            let clients = ends.filter { other in
                other.revision.links.contains { $0.workload == end.key.workload }
            }
            rules[end.wire.index] = Firewall(
                wire: end.wire, egress: end.revision.egress, ports: end.holdsPorts ? end.revision.ports : [],
                links: links,
                clients: clients.map { NetworkPeer(wire: $0.wire, ports: end.revision.linkPorts) })
        }
        return rules
    }

    /// The first number that no revision has.
    static func freeIndex(_ taken: Set<Int>, pool: NetworkPool = NetworkPool()) -> NetworkPlan? {
        (1...WorkloadLimit.workloadsPerNode * 4).lazy.filter { !taken.contains($0) }
            .compactMap { NetworkPlan(index: $0, pool: pool) }.first
    }

    /// `/etc/hosts` of a revision (hosts(5)): itself, and the workloads that it links to.
    static func hosts(_ workload: Workload, wire: NetworkPlan?, ends: [WireEnd]) -> String {
        let own = workload.revision.hostname ?? workload.name.rawValue
        var lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        if let wire {
            lines += ["\(wire.guestVersion4) \(own)", "\(wire.guestVersion6) \(own)"]
        } else {
            lines.append("127.0.1.1 \(own)")
        }
        for link in workload.revision.links {
            // While a new revision proves itself beside the old one, the old one has the ports and is meant.
            let peer = ends.filter { $0.key.workload == link.workload }.max { one, two in
                (one.holdsPorts ? 1 : 0, one.launchedMilliseconds) < (two.holdsPorts ? 1 : 0, two.launchedMilliseconds)
            }
            guard let peer else { continue }
            let names = link.alias.rawValue
            lines += ["\(peer.wire.guestVersion4) \(names)", "\(peer.wire.guestVersion6) \(names)"]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
