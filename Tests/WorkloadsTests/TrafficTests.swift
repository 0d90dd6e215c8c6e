import TestSupport
import Testing

@testable import Workloads

/// Namespaces to send packets in, where they can be made.
enum Namespaces {
    static let obstacle: String? = {
        for tool in ["nft", "ip", "busybox", "unshare"] where location(of: tool) == nil {
            return "\(tool) is not installed"
        }
        for applet in ["nc", "httpd"] where !outcome(of: ["busybox", "--list"]).output.contains("\n\(applet)\n") {
            return "busybox has no \(applet)"
        }
        let probe = outcome(of: inNamespaces("echo 1 >/proc/sys/net/ipv4/ip_forward && ip netns add probe"))
        return probe.status == 0 ? nil : "network namespaces cannot be made: \(probe.output)"
    }()

    static func inNamespaces(_ script: String) -> [String] {
        [
            "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
            "mount -t tmpfs none /run && mkdir /run/netns && mount -t proc none /proc\n\(script)",
        ]
    }
}

/// Real packets between network namespaces: a node with two workloads, and a network outside.
///
/// Every attempt that the rules stop is made a second time without the rules, where it must succeed: otherwise it
/// would prove nothing.
@Suite(
    .ownThreads, .enabled(if: Namespaces.obstacle == nil, "no traffic can be made here: \(Namespaces.obstacle ?? "")"))
struct Traffic {
    /// Each row: from which namespace, to what, and whether the rules let it through.
    static let attempts: [(label: String, from: String, to: String, isOpen: Bool)] = [
        ("allowed prefix", "w3", "192.0.2.7 443", true), ("allowed prefix by IPv6", "w3", "2001:db8::7 443", true),
        ("another port", "w3", "192.0.2.7 80", false), ("another address", "w3", "203.0.113.7 443", false),
        ("metadata", "w3", "169.254.169.254 80", false), ("metadata by IPv6", "w3", "fd00:ec2::254 80", false),
        ("the node's service", "w3", "100.127.0.6 22", false),
        ("the node's other address", "w3", "192.0.2.1 22", false),
        ("linked workload", "w3", "100.127.0.9 5432", true),
        ("linked workload by IPv6", "w3", "fd61:7075:7300::9 5432", true),
        ("linked workload's other port", "w3", "100.127.0.9 5433", false),
        ("back along the link", "w4", "100.127.0.7 80", false),
        ("outside without a list", "w4", "192.0.2.7 443", false),
        ("a workload from outside", "out", "100.127.0.7 80", false),
        ("a name before its answer", "w3", "203.0.113.8 443", false),
        ("another's published port", "w4", "192.0.2.1 8080", false),
    ]

    @Test func packetsGoWhereTheRulesSayAndNowhereElse() throws {
        let scratch = try Scratch()
        try Self.write(to: scratch)
        let attempts = Self.attempts.enumerated().map { "try \($0) \($1.from) \($1.to) &" }.joined(separator: "\n")
        let script = """
            set -e
            cd \(scratch.path)
            . ./town
            nft -f guard && nft -f rules3 && nft -f rules4
            \(attempts)
            try published out 192.0.2.1 8080 &
            spoof guarded
            wait
            nft -f opening
            nft -f rules3
            try opened w3 203.0.113.8 443
            nft -f removal
            try marked w3 192.0.2.7 443
            nft flush ruleset
            nft -f published
            \(attempts.replacing("try ", with: "try free"))
            spoof free
            wait
            """
        let result = outcome(of: Namespaces.inNamespaces(script))
        let lines = Set(result.output.split(separator: "\n").map(String.init))
        for (index, attempt) in Self.attempts.enumerated() {
            #expect(
                lines.contains("\(index) \(attempt.isOpen ? "open" : "closed")"), "\(attempt.label): \(result.output)")
            #expect(lines.contains("free\(index) open"), "\(attempt.label) fails without rules too: \(result.output)")
        }
        // Without its rules a workload's wire is closed by the guard.
        for line in ["published open", "opened open", "marked closed", "guarded closed", "free open"] {
            #expect(lines.contains(line), "\(line): \(result.output)")
        }
    }

    private static func write(to scratch: Scratch) throws {
        let web = try #require(NetworkPlan(index: 3))
        let db = try #require(NetworkPlan(index: 4))
        let egress = try Fixture.workload(
            "web",
            #"""
            , "egress": [{"to": "192.0.2.0/24", "ports": [443]}, {"to": "2001:db8::/32", "ports": [443]},
                         {"to": "api.example.com", "ports": [443]}]
            """#
        ).revision.egress
        let port = try #require(PortRange("5432"))
        let rules = Firewall(
            wire: web, egress: egress, ports: [PublishedPort(published: 8080, target: 80)],
            links: [NetworkPeer(wire: db, ports: [port])])
        let address = try #require(NetworkAddress("203.0.113.8"))
        let sets = EgressSets(wire: web, egress: egress)
        let opening = sets.opening(sets.elements("api.example.com", [address]), seconds: 60)
        try scratch.file("guard", Firewall.guardRules)
        try scratch.file("rules3", rules.rules)
        try scratch.file(
            "rules4", Firewall(wire: db, egress: [], clients: [NetworkPeer(wire: web, ports: [port])]).rules)
        try scratch.file("opening", opening)
        try scratch.file("removal", rules.removal)
        // Without rules a published port leads to its workload for everyone.
        try scratch.file(
            "published",
            "table ip free { chain p { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to \(web.guestVersion4):80; }; }\n"
        )
        try scratch.file("town", ([outside] + [web, db].map(wire) + [services]).joined(separator: "\n"))
    }

    /// A workload's namespace and its wire, as the agent makes them.
    private static func wire(_ plan: NetworkPlan) -> String {
        let name = "w\(plan.index)"
        return """
            ip netns add \(name)
            ip link add \(plan.hostInterface) address \(plan.hostMAC) type veth \
            peer name eth0 address \(plan.guestMAC) netns \(name)
            ip addr add \(plan.hostVersion4)/31 dev \(plan.hostInterface)
            ip addr add \(plan.hostVersion6)/127 dev \(plan.hostInterface) nodad
            ip link set \(plan.hostInterface) up
            ip -n \(name) addr add \(plan.guestVersion4)/31 dev eth0
            ip -n \(name) addr add \(plan.guestVersion6)/127 dev eth0 nodad
            ip -n \(name) link set lo up
            ip -n \(name) link set eth0 up
            for address in \(plan.guestVersion4) \(plan.guestVersion6); do
                ip neigh replace $address dev \(plan.hostInterface) lladdr \(plan.guestMAC) nud permanent
            done
            for address in \(plan.hostVersion4) \(plan.hostVersion6); do
                ip -n \(name) neigh replace $address dev eth0 lladdr \(plan.hostMAC) nud permanent
            done
            ip -n \(name) route add default via \(plan.hostVersion4)
            ip -n \(name) route add default via \(plan.hostVersion6)
            """
    }

    private static let outside = """
        echo 1 >/proc/sys/net/ipv4/ip_forward
        echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
        ip link set lo up
        ip netns add out
        ip link add up0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:07 netns out
        ip addr add 192.0.2.1/24 dev up0
        ip addr add 2001:db8::1/64 dev up0 nodad
        ip link set up0 up
        ip -n out link set lo up
        ip -n out addr add 192.0.2.7/24 dev eth0
        ip -n out addr add 2001:db8::7/64 dev eth0 nodad
        for address in 203.0.113.7 203.0.113.8 169.254.169.254; do ip -n out addr add $address/32 dev lo; done
        ip -n out addr add fd00:ec2::254/128 dev lo nodad
        ip -n out link set eth0 up
        # Neighbours are fixed, so that nothing waits for their discovery.
        ip neigh replace 2001:db8::7 dev up0 lladdr 02:00:00:00:00:07 nud permanent
        ip -n out neigh replace 2001:db8::1 dev eth0 lladdr 02:00:00:00:00:01 nud permanent
        ip -n out route add default via 192.0.2.1
        ip -n out route add default via 2001:db8::1
        ip route add default via 192.0.2.7
        ip route add default via 2001:db8::7
        """

    /// `httpd` listens before it goes to the background, so that nothing need be waited for.
    private static let services = """
        listen() { ip netns exec $1 busybox httpd -p $2 -h /run; }
        for port in 80 443; do listen out $port; done
        listen w3 80
        for port in 5432 5433; do listen w4 $port; done
        busybox httpd -p 22 -h /run
        try() {
            if ip netns exec $2 busybox nc -w 1 $3 $4 </dev/null >/dev/null 2>&1; then echo $1 open; else echo $1 closed; fi
        }
        # Packets that claim another address arrive outside as they are, and are counted there.
        ip netns exec out nft 'table ip spy { chain i { type filter hook input priority 0; ip saddr 100.127.0.99 counter; }; }'
        ip -n w3 addr add 100.127.0.99/32 dev lo
        ip -n w3 route add 192.0.2.8/32 via 100.127.0.6 src 100.127.0.99
        ip -n out addr add 192.0.2.8/32 dev lo
        ip route add 192.0.2.8/32 via 192.0.2.7
        spoof() {
            ip netns exec w3 busybox nc -w 1 192.0.2.8 443 </dev/null >/dev/null 2>&1 || true
            if ip netns exec out nft list table ip spy | grep -q 'packets 0 '; then echo $1 closed; else echo $1 open; fi
        }
        """
}
