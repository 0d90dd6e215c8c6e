import TestSupport
import Testing

@testable import Workloads

@Suite struct Firewalls {
    static func rules(_ egress: String) throws -> [EgressRule] {
        try Fixture.workload("web", #", "egress": \#(egress)"#).revision.egress
    }

    static func firewall() throws -> Firewall {
        let egress = try rules(
            """
            [{"to": "192.0.2.0/24", "ports": [443, "8000-8010", 8005]}, {"to": "2001:db8::/32", "ports": [443]},
             {"to": "api.example.com", "ports": [443]}, {"to": "*.example.org", "ports": [53], "protocol": "udp"},
             {"to": "only.lookup.example", "ports": []}]
            """)
        let other = try #require(NetworkPlan(index: 4))
        return Firewall(
            wire: try #require(NetworkPlan(index: 3)), egress: egress,
            ports: [
                PublishedPort(published: 8080, target: 80),
                PublishedPort(hostAddress: NetworkAddress("192.0.2.9"), published: 5353, target: 53, transport: .udp),
            ],
            links: [NetworkPeer(wire: other, ports: [try #require(PortRange("5432"))])],
            clients: [NetworkPeer(wire: other, ports: [try #require(PortRange("80-81"))])])
    }

    @Test func everyChainOfAWorkloadEndsInADrop() throws {
        let rules = try Self.firewall().rules
        for chain in ["leaving", "arriving", "to_node"] {
            let body = try #require(rules.components("chain \(chain) {").last?.components("}\n").first)
            let lines = body.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
            #expect(lines.last == "drop" || lines.dropLast().last == "drop", "\(lines)")
        }
        #expect(rules.contains("hook ingress device \"apw3\" priority filter; policy drop;"))
    }

    @Test func forbiddenAddressesStandBeforeTheAllowList() throws {
        let rules = try Self.firewall().rules
        let metadata = try #require(rules.firstRange(of: "169.254.0.0/16"))
        let list = try #require(rules.firstRange(of: "ip daddr 192.0.2.0/24"))
        let others = try #require(rules.firstRange(of: "oifname \"apw*\" drop"))
        #expect(metadata.lowerBound < list.lowerBound && others.lowerBound < list.lowerBound)
        #expect(rules.contains("tcp dport { 443, 8000-8010 }"))
    }

    @Test func aNameOpensOnlyWhatWasAnsweredAndAllowed() throws {
        let firewall = try Self.firewall()
        let sets = EgressSets(wire: firewall.wire, egress: firewall.egress)
        #expect(sets.mayLookUp("api.example.com.") && sets.mayLookUp("a.b.example.org"))
        #expect(sets.mayLookUp("only.lookup.example") && !sets.mayLookUp("example.com") && !sets.mayLookUp("evil.test"))
        let answers = ["203.0.113.7", "169.254.169.254", "127.0.0.1", "100.127.0.9", "2001:db8::7", "::1"].compactMap {
            NetworkAddress($0)
        }
        let opened = sets.opening(sets.elements("API.example.com", answers), seconds: 60)
        #expect(opened.contains("add element inet apus_w3 name2_v4 { 203.0.113.7 timeout 60s }"))
        #expect(opened.contains("name2_v6 { 2001:db8::7 timeout 60s }"))
        for never in ["169.254", "127.0.0.1", "100.127", "::1 "] { #expect(!opened.contains(never)) }
        #expect(sets.elements("only.lookup.example", answers).isEmpty)
        #expect(sets.elements("evil.test", answers).isEmpty)
        #expect(sets.opening([], seconds: 60).isEmpty)
    }

    @Test func theResolverIsReachedOnlyWhereNamesAre() throws {
        let wire = try #require(NetworkPlan(index: 3))
        let prefixOnly = Firewall(wire: wire, egress: try Self.rules(#"[{"to": "192.0.2.1", "ports": [1]}]"#))
        #expect(!prefixOnly.rules.contains("dport 53"))
        // Names of links are in a file.
        let other = NetworkPeer(wire: try #require(NetworkPlan(index: 4)), ports: [])
        #expect(!Firewall(wire: wire, egress: [], links: [other]).rules.contains("dport 53"))
        let lookups = Firewall(wire: wire, egress: try Self.rules(#"[{"to": "a.example", "ports": []}]"#))
        #expect(lookups.rules.contains("ip daddr 100.127.0.6 udp dport 53"))
        #expect(!lookups.rules.contains("name0"))
    }

    static let canMakeNamespaces =
        location(of: "nft") != nil && location(of: "ip") != nil
        && outcome(of: ["unshare", "--net", "--mount", "nft", "list", "ruleset"]).status == 0

    /// The kernel itself takes the rules, twice over, and nothing is left after the removal.
    @Test(.enabled(if: canMakeNamespaces, "nft, ip or network namespaces are not to be had"))
    func theKernelTakesTheRules() throws {
        let scratch = try Scratch()
        let firewall = try Self.firewall()
        let sets = EgressSets(wire: firewall.wire, egress: firewall.egress)
        let address = try #require(NetworkAddress("203.0.113.7"))
        let second = try #require(NetworkAddress("203.0.113.8"))
        let opening = sets.opening(sets.elements("api.example.com", [address, second]), seconds: 60)
        try scratch.file("guard", Firewall.guardRules)
        try scratch.file("rules", firewall.rules)
        try scratch.file("opening", opening)
        try scratch.file("removal", Firewall.guardRules + firewall.removal)
        let script = """
            set -e
            cd \(scratch.path)
            ip link add apw3 type veth peer name guest3
            nft --check -f rules
            for file in guard rules guard rules opening opening rules; do nft -f $file; done
            nft list set inet apus_w3 name2_v4
            nft -f removal
            nft -f removal
            nft list tables
            """
        let result = outcome(of: ["unshare", "--net", "--mount", "sh", "-c", script])
        #expect(result.status == 0, "\(result.output)")
        // The rules that were loaded again left open what was.
        #expect(result.output.contains("203.0.113.7 timeout 1m") && result.output.contains("203.0.113.8 timeout 1m"))
        #expect(result.output.hasSuffix("table inet apus_guard\n"), "\(result.output)")
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(String(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        return parts + [String(rest)]
    }
}
