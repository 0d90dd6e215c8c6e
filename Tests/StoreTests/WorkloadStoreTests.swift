import Contract
import Foundation
import Testing
import Workloads

@testable import Store

struct WorkloadStoreTests {
    let directory: ScratchDirectory
    let store: SQLiteStore

    init() throws {
        directory = try ScratchDirectory()
        store = try SQLiteStore(path: directory.path + "/apusd.sqlite")
    }

    private func name(_ text: String) throws -> WorkloadName { try #require(WorkloadName(text)) }

    private func secret(_ text: String) throws -> SecretValue { try #require(SecretValue(bytes: Array(text.utf8))) }

    @Test func keepsEveryFieldOfAWorkload() async throws {
        var workload = StoredWorkload(
            name: try name("web"), document: "{}", revision: try Sample.digest(1), createdSeconds: 5)
        try await store.write { [workload] in try $0.save(workload) }
        workload.document = #"{"a":1}"#
        workload.revision = try Sample.digest(2)
        workload.isStopped = true
        workload.restarts = 3
        workload.changedSeconds = 9
        try await store.write { [workload] in try $0.save(workload) }
        let kept = try await store.read { [workload] in try $0.workload(workload.name) }
        #expect(kept == workload)
        let all = try await store.read { try $0.workloads() }
        #expect(all == [workload])
    }

    @Test func keepsTheNewestRevisionsAndRemovesThemWithTheirWorkload() async throws {
        let web = try name("web")
        let revisions = try (0..<30).map { number in
            StoredRevision(
                revision: try Sample.digest(UInt8(number)), document: "\(number)", appliedSeconds: Int64(number))
        }
        try await store.write { transaction in
            try transaction.save(
                StoredWorkload(name: web, document: "", revision: revisions[0].revision, createdSeconds: 1))
            for revision in revisions { try transaction.append(revision, to: web, keeping: 20) }
            // Wanting an earlier one again makes it the newest, and keeps it once.
            try transaction.append(revisions[15], to: web, keeping: 20)
        }
        let kept = try await store.read { try $0.revisions(of: web) }
        #expect(kept.first == revisions[15])
        let others = Array(revisions[10..<15]) + Array(revisions[16..<30])
        #expect(Array(kept.dropFirst()) == Array(others.reversed()))
        #expect(try await store.write { try $0.removeWorkload(web) })
        #expect(try await store.read { try $0.revisions(of: web) }.isEmpty)
        #expect(try await !store.write { try $0.removeWorkload(web) })
    }

    @Test func aSecretHasAnotherVersionWithEachValue() async throws {
        let key = try name("key")
        let values = [try secret("one"), try secret("two")]
        var versions: [Int64] = []
        for value in values {
            try await store.write { try $0.setSecret(key, to: value, timeSeconds: 7) }
            let entry = try #require(try await store.read { try $0.secrets() }.first)
            versions.append(entry.version)
            #expect(entry.bytes == 3 && entry.changedSeconds == 7)
            #expect(try await store.read { try $0.secret(key) } == value)
        }
        #expect(try await store.write { try $0.removeSecret(key) })
        #expect(try await store.read { try $0.secret(key) } == nil)
        try await store.write { try $0.setSecret(key, to: values[0], timeSeconds: 8) }
        versions.append(try #require(try await store.read { try $0.secrets() }.first).version)
        #expect(Set(versions).count == 3)
    }

    @Test func keepsRegistriesWithTheirPasswords() async throws {
        let account = RegistryAccount(
            host: "r.example:5000", mirror: "https://m.example", username: "user", password: try secret("pass"),
            caPEM: "pem")
        try await store.write { try $0.setRegistry(account, timeSeconds: 1) }
        let first = try #require(try await store.read { try $0.registries() }.first)
        #expect(first.account == account)
        try await store.write { try $0.setRegistry(account, timeSeconds: 2) }
        #expect(try await store.read { try $0.registries() }.map(\.version) != [first.version])
        #expect(try await store.write { try $0.removeRegistry(account.host) })
    }

    @Test func onlyAdmittedNodesCanBePlacedOn() async throws {
        var nodes = [try Sample.node("a", key: 1), try Sample.node("b", key: 2), try Sample.node("c", key: 3)]
        nodes[1].wasAdmitted = true
        nodes[2].wasAdmitted = true
        nodes[2].state = .retired
        try await store.write { [nodes] transaction in try nodes.forEach { try transaction.save($0) } }
        #expect(
            try await store.read { try $0.placeableNodes() } == [
                PlaceableNode(id: nodes[1].id, labels: ["site": "lab"])
            ])
        try await store.write { [nodes] in try $0.raiseGeneration(of: nodes[1].id) }
        let raised = try await store.read { [nodes] in try $0.node(nodes[1].id) }
        let generation = nodes[1].generation + 1
        #expect(raised?.generation == generation)
    }

    @Test func keepsAssignmentsAndReportsUntilTheNodeIsGone() async throws {
        let node = try Sample.node("a", key: 1)
        var assignment = NodeAssignment(node: node.id, generation: 4, fingerprint: try Sample.digest(1))
        assignment.reportedGeneration = 3
        assignment.images = [NodeImage(digest: try Sample.digest(2), reference: "r.example/a:1", bytes: 10)]
        let web = WorkloadReport(name: try name("web"), phase: .running, revision: try Sample.digest(3))
        var job = WorkloadReport(name: try name("job"), phase: .pulling)
        try await store.write { [assignment, job] transaction in
            try transaction.save(node)
            try transaction.save(assignment)
            try transaction.replaceReports([web, job], node: node.id, timeSeconds: 10)
        }
        #expect(try await store.read { try $0.assignments() } == [assignment])
        job.phase = .completed
        try await store.write { [job] in try $0.replaceReports([web, job], node: node.id, timeSeconds: 20) }
        let reports = try await store.read { try $0.reports(node: node.id) }
        #expect(reports.map(\.report) == [job, web])
        #expect(reports.map(\.sinceSeconds) == [20, 10], "what is said again keeps its time")
        try await store.write { try $0.replaceReports([web], node: node.id, timeSeconds: 30) }
        #expect(try await store.read { try $0.reports(workload: nil) }.map(\.report) == [web])
        try await store.write { try $0.removeNode(node.id) }
        #expect(try await store.read { try $0.reports(workload: web.name) }.isEmpty)
        #expect(try await store.read { try $0.assignment(of: node.id) } == nil)
    }
}
