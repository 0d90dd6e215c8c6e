import Linux
import Synchronization
import TestSupport
import Testing

@testable import Sandbox
@testable import Workloads

/// A node's network with one workload's wire, its rules, the resolver, and a town outside.
final class Street {
    let scratch: MountScratch
    let node: String
    let guest: String
    let wires: Wires
    let plan: NetworkPlan
    let firewall: Firewall
    let town: Town
    let serverFile: String
    let told: Told
    private(set) var service: NameService?

    final class Told: Sendable {
        let sentences = Mutex<[String]>([])
    }

    init(
        _ egress: String, limits: NameRelay.Limits = NameRelay.Limits(), servers: String = "nameserver 192.0.2.53\n",
        _ manners: [String: Town.Manner]
    ) throws {
        scratch = try MountScratch()
        let places = NodePlaces(state: scratch.path, images: scratch.path, run: scratch.path)
        node = scratch.path + "/node-net"
        serverFile = scratch.path + "/resolv.conf"
        told = Told()
        plan = try #require(NetworkPlan(index: 3))
        guest = places.namespace(plan)
        wires = Wires(places: places, prefix: ["nsenter", "--net=\(node)"])
        try Files.writeDurably([], to: node)
        let made = Tool.run(["unshare", "--net=\(node)", "true"])
        try #require(made.status == 0, "\(made.output)")
        let revision = try Fixture.workload("web", #", "egress": \#(egress)"#).revision
        firewall = Firewall(wire: plan, egress: revision.egress)
        town = try Town(beside: node, at: scratch.path + "/town-net", manners)
        try wires.prepareNode()
        try wires.make(plan)
        try wires.apply([firewall.rules])
        try wires.raise(plan)
        try Files.writeDurably(Array(servers.utf8), to: serverFile)
        try startService(limits)
    }

    func startService(_ limits: NameRelay.Limits = NameRelay.Limits()) throws {
        let told = told
        let new = try NameService(
            NameService.Setting(
                network: node, serverFiles: [scratch.path + "/none", serverFile], limits: limits,
                tell: { sentence in told.sentences.withLock { $0.append(sentence) } }))
        service?.end()
        service = new
        try new.serve(
            try #require(WorkloadName("web")), EgressSets(wire: plan, egress: firewall.egress))
    }

    func ask(_ name: String, _ type: UInt16 = 1, isStream: Bool = false) throws -> DNSMessage {
        let told = told.sentences.withLock { $0 }
        return try #require(try Guest.ask(guest, plan.hostVersion4, name, type, isStream: isStream), "\(told)")
    }

    func isOpen(_ address: [UInt8]) throws -> Bool { try Guest.connect(guest, address) != nil }

    var rules: String { Tool.run(["nsenter", "--net=\(node)", "nft", "list", "ruleset"]).output }

    /// Why no network can be made here; nil where it can.
    static let obstacle: String? = {
        for tool in ["unshare", "nsenter", "ip", "nft"] where !Tool.has(tool) { return "\(tool) is not installed" }
        guard Processes.ownUser == 0 else { return "the tests do not run as root" }
        let probe = Tool.run(["unshare", "--net", "nft", "add", "table", "inet", "probe"])
        return probe.status == 0 ? nil : "network namespaces cannot be made: \(probe.output)"
    }()

    deinit {
        service?.end()
        town.close()
    }
}
