import Contract
import Foundation
import Linux
import Testing
import Workloads

@testable import Sandbox

/// The assignment on the disk.
struct Store {
    static func store(_ scratch: MountScratch) -> AssignmentStore {
        AssignmentStore(places: NodePlaces(state: scratch.path + "/state", images: "", run: ""))
    }

    @Test func secretsAndPasswordsAreKeptApartFromTheRestAndCloseToTheOwner() throws {
        let scratch = try MountScratch()
        let store = Self.store(scratch)
        let workload = try Fixture.workload("web", #", "command": ["/x"], "secrets": ["key"]"#)
        let password = try #require(SecretValue(bytes: Array("pass-word".utf8)))
        let assignment = WorkloadAssignment(
            generation: 3, registries: [RegistryAccount(host: "registry.example", username: "u", password: password)],
            workloads: [try Fixture.assigned(workload, secrets: ["key": "hunter2"])])
        try store.save(assignment, keeping: [:])
        let open = try Files.readText(store.places.assignment, limitBytes: 1 << 20)
        for value in ["hunter2", "pass-word", Data("hunter2".utf8).base64EncodedString()] {
            #expect(!open.contains(value))
        }
        for path in [store.places.assignment, store.places.secrets] {
            #expect(Files.status(path)?.mode ?? 0 & 0o777 == 0o600)
        }
        let content = try #require(try store.load())
        #expect(content.generation == 3 && content.desired.map(\.workload) == [workload])
        #expect(content.secrets.secrets["web"]?["key"]?.bytes == Array("hunter2".utf8))
        #expect(content.registries.first?.password == password)
        #expect(!"\(content.secrets)".contains("key"))
    }

    @Test func aSecretThatARevisionToGoBackToNeedsIsKept() throws {
        let scratch = try MountScratch()
        let store = Self.store(scratch)
        let old = try Fixture.workload("web", #", "command": ["/x"], "secrets": ["old"]"#)
        let new = try Fixture.workload("web", #", "command": ["/x"], "secrets": ["new"]"#)
        try store.save(
            WorkloadAssignment(generation: 1, workloads: [try Fixture.assigned(old, secrets: ["old": "a"])]),
            keeping: [:])
        let next = WorkloadAssignment(generation: 2, workloads: [try Fixture.assigned(new, secrets: ["new": "b"])])
        try store.save(next, keeping: [new.name: ["old"]])
        #expect(try store.load()?.secrets.secrets["web"]?.keys.sorted() == ["new", "old"])
        try store.save(next, keeping: [:])
        #expect(try store.load()?.secrets.secrets["web"]?.keys.sorted() == ["new"])
    }

    @Test func aDocumentWithAnotherRevisionIsRefusedAndTheRestTaken() throws {
        let scratch = try MountScratch()
        let store = Self.store(scratch)
        let good = try Fixture.workload("good", #", "command": ["/x"]"#)
        var bad = try Fixture.assigned(try Fixture.workload("bad", #", "command": ["/x"]"#))
        bad.revision = try #require(Digest256(hex: Fixture.imageDigest))
        try store.save(
            WorkloadAssignment(generation: 1, workloads: [bad, try Fixture.assigned(good)]), keeping: [:])
        let content = try #require(try store.load())
        #expect(content.desired.map(\.workload.name.rawValue) == ["good"])
        #expect(content.refused.count == 1)
    }

    @Test func aNewBootBeginsTimesAnewAndDamagedMemoryIsNone() throws {
        let scratch = try MountScratch()
        let store = Self.store(scratch)
        var memory = KeeperMemory()
        var record = WorkloadRecord()
        record.restarts.count = 2
        record.restarts.nextMilliseconds = 99_000
        memory.records["web"] = record
        memory.began(bootID: "one")
        try store.save(memory)
        var read = store.memory()
        #expect(read == memory)
        read.began(bootID: "one")
        #expect(read == memory)
        read.began(bootID: "two")
        #expect(read.records["web"]?.restarts.nextMilliseconds == 0 && read.records["web"]?.restarts.count == 2)
        #expect(read.project(for: "web/data") == KeeperMemory.firstProject)
        #expect(read.project(for: "web/more") == KeeperMemory.firstProject + 1)
        #expect(read.project(for: "web/data") == KeeperMemory.firstProject)
        try Files.writeDurably([0x7B], to: store.places.records)
        #expect(store.memory() == KeeperMemory())
    }

    @Test func documentsOutliveTheirAssignment() throws {
        let scratch = try MountScratch()
        let store = Self.store(scratch)
        let workload = try Fixture.workload("web", #", "command": ["/x"]"#)
        let revision = try Fixture.revision(workload)
        try store.keepDocument(workload, revision)
        #expect(store.documents() == [RevisionKey(workload.name, revision): workload])
        store.forgetDocuments(except: [])
        #expect(store.documents().isEmpty)
    }
}
