import Contract
import Foundation
import Testing
import Workloads

struct WorkloadWireTests {
    private static let digest = String(repeating: "ab", count: 32)

    private static func assignment() throws -> WorkloadAssignment {
        let document = #"{"name": "web", "image": "r.example/web@sha256:\#(digest)", "secrets": ["key"]}"#
        return WorkloadAssignment(
            generation: 7, policy: NodePolicy(permissions: [.lowPorts]),
            registries: [
                RegistryAccount(
                    host: "r.example", username: "user", password: SecretValue(bytes: Array("hunter2".utf8)))
            ],
            workloads: [
                AssignedWorkload(
                    workload: document, revision: try #require(Digest256(hex: digest)), restarts: 2,
                    secrets: ["key": try #require(SecretValue(bytes: [0, 255, 10]))])
            ])
    }

    @Test func equalPoliciesAreEqualBytes() throws {
        let ports = Array<UInt16>(1...200)
        let all = WorkloadPermission.allCases
        let one = NodePolicy(permissions: Set(all), reservedPorts: Set(ports))
        // Another capacity, another order of insertion: sets that are equal and are walked differently.
        var grown = Set<UInt16>(minimumCapacity: 4096)
        for port in ports.reversed() { grown.insert(port) }
        var two = NodePolicy(permissions: Set(all.reversed()), reservedPorts: grown)
        let bytes = try Wire.encode(one)
        #expect(try Wire.encode(two) == bytes)
        #expect(try Wire.decode(NodePolicy.self, from: bytes) == one)
        two.maximumMilliCPUs = 1500
        #expect(try Wire.decode(NodePolicy.self, from: try Wire.encode(two)) == two)
    }

    @Test func anAssignmentArrivesAsItWasSent() throws {
        let assignment = try Self.assignment()
        let bytes = try Wire.encode(assignment)
        #expect(try WorkloadAssignment.decoded(from: bytes) == assignment)
        #expect(String(decoding: bytes, as: UTF8.self).contains(#""key":"AP8K""#), "Base64")
        let desired = try #require(try assignment.workloads.first?.desired())
        #expect(desired.workload.name.rawValue == "web" && desired.restarts == 2)
    }

    @Test func secretsOfAnAssignmentAreNotPrinted() throws {
        let assignment = try Self.assignment()
        var dumped = "\(assignment) \(assignment.registries) \(assignment.workloads) \(String(reflecting: assignment))"
        dump(assignment, to: &dumped)
        dump(assignment.registries, to: &dumped)
        dump(assignment.workloads, to: &dumped)
        for secret in ["hunter2", "104", "255", "aHVudGVyMg"] { #expect(!dumped.contains(secret), "\(secret)") }
    }

    @Test func anAssignmentOfTooManyIsRefused() throws {
        var assignment = try Self.assignment()
        assignment.workloads = Array(repeating: assignment.workloads[0], count: WorkloadLimit.workloadsPerNode + 1)
        let bytes = try Wire.encode(assignment)
        #expect(throws: WireError.self) { try WorkloadAssignment.decoded(from: bytes) }
    }

    @Test func aDocumentOfAnAssignmentIsReadStrictly() throws {
        var workload = try #require(try Self.assignment().workloads.first)
        workload.workload = #"{"name": "web", "image": "r.example/web:1"}"#
        #expect(throws: DocumentError.self) { try workload.desired() }
    }
}

struct PlacementTests {
    private func node(_ letter: Character, _ labels: [String: String]) throws -> PlaceableNode {
        PlaceableNode(id: try #require(NodeID(String(repeating: letter, count: 26))), labels: labels)
    }

    @Test func nodesAreFoundByIdByNameAndByLabels() throws {
        let nodes = [
            try node("a", ["name": "berlin-1", "site": "berlin"]), try node("b", ["site": "berlin", "gpu": "yes"]),
            try node("c", ["name": "paris-1", "site": "paris"]),
        ]
        func places(_ change: (inout WorkloadPlacement) -> Void) -> String {
            var placement = WorkloadPlacement()
            change(&placement)
            return WorkloadPlacer.nodes(for: placement, among: nodes).map { String($0.id.rawValue.prefix(1)) }.joined()
        }
        let berlin = WorkloadPlacement.Constraint(key: "site", value: "berlin")
        let noGPU = WorkloadPlacement.Constraint(key: "gpu", value: "yes", isEqual: false)
        #expect(places { _ in } == "abc", "nowhere special is everywhere")
        #expect(places { $0.nodes = ["paris-1", nodes[1].id.rawValue] } == "bc")
        #expect(places { $0.constraints = [berlin] } == "ab")
        #expect(places { $0.constraints = [berlin, noGPU] } == "a")
        #expect(places { ($0.nodes, $0.constraints) = (["paris-1"], [berlin]) } == "")
        var unknown = WorkloadPlacement()
        unknown.nodes = ["rome-1", "paris-1"]
        #expect(WorkloadPlacer.unknownNames(in: unknown, among: nodes) == ["rome-1"])
    }

    @Test func conflictsAreThoseOfOneNode() throws {
        let here = try node("a", ["name": "here"])
        let elsewhere = try node("b", [:])
        func workload(_ name: String, _ fields: String) throws -> Workload {
            let image = "r.example/x@sha256:" + String(repeating: "0", count: 64)
            return try Workload(parsing: Array(#"{"name": "\#(name)", "image": "\#(image)", \#(fields)}"#.utf8))
        }
        let onlyHere = #""deploy": {"placement": {"nodes": ["here"]}}"#
        let port = #""ports": [{"target": 80, "published": 8080}]"#
        let holder = try workload("holder", "\(port), \(onlyHere)")
        let new = try workload("new", #"\#(port), "depends_on": ["holder"]"#)
        #expect(WorkloadPlacer.conflicts(of: new, beside: [holder, new], on: here).map(\.path) == ["ports[0]"])
        #expect(WorkloadPlacer.conflicts(of: new, beside: [holder, new], on: elsewhere).map(\.path) == ["depends_on"])
    }
}
