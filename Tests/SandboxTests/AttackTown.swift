import Contract
import Lab
import Linux
import TestSupport
import Testing
import Workloads

@testable import Sandbox

/// A node's network with the wires of an attacker and a victim, and a network outside in which the addresses answer that
/// rows reach for: a refusal by its kernel is an answer.
final class AttackTown {
    private let scratch: MountScratch
    private let wires: Wires
    private let node: String
    /// The attacker's network.
    let attacker: String

    init() throws {
        scratch = try MountScratch()
        let places = NodePlaces(
            state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path + "/run")
        node = places.run + "/node"
        let outside = places.run + "/outside"
        wires = Wires(places: places, prefix: ["nsenter", "--net=\(node)"])
        let own = try #require(NetworkPlan(index: 1))
        let other = try #require(NetworkPlan(index: 2))
        attacker = places.namespace(own)
        try Files.makeDirectory(places.run)
        for path in [node, outside] {
            try Files.writeDurably([], to: path)
            try #require(Tool.run(["unshare", "--net=\(path)", "true"]).status == 0)
        }
        try wires.prepareNode()
        let digest = "registry.example/attack@sha256:" + String(repeating: "ab", count: 32)
        let document = try Workload(
            parsing: Array(AttackDocuments.wired.replacing(AttackDocuments.image, with: digest).utf8))
        for wire in [own, other] { try wires.make(wire) }
        try wires.apply([own, other].map { Firewall(wire: $0, egress: document.revision.egress).rules })
        for wire in [own, other] { try wires.raise(wire) }
        let made = Tool.run([
            "nsenter", "--net=\(node)", "sh", "-ec",
            """
            ip link set lo up
            ip link add up0 type veth peer name eth0 netns \(outside)
            ip addr add 10.0.2.50/24 dev up0
            ip link set up0 up
            nsenter --net=\(outside) sh -ec '
                ip link set lo up
                ip link set eth0 up
                ip addr add 10.0.2.2/24 dev eth0
                ip addr add 169.254.169.254/32 dev lo
                ip addr add 192.0.2.7/32 dev lo
                ip route add default via 10.0.2.50'
            ip route add default via 10.0.2.2
            """,
        ])
        try #require(made.status == 0, "\(made.output)")
    }

    /// Takes all rules away; addresses are still translated nowhere, and the outside knows the way back.
    func open() throws {
        let done = Tool.run(["nsenter", "--net=\(node)", "nft", "flush", "ruleset"])
        try #require(done.status == 0, "\(done.output)")
    }
}
