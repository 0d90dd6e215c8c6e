import Contract
import Foundation
import Testing

@testable import Store

struct StoreTests {
    let directory: ScratchDirectory
    let store: SQLiteStore

    init() throws {
        directory = try ScratchDirectory()
        store = try SQLiteStore(path: directory.path + "/apusd.sqlite")
    }

    @Test func keepsEveryFieldOfANode() async throws {
        var node = try Sample.node("a", key: 1, identity: "u|S1")
        try await store.write { [node] in try $0.save(node) }
        node.state = .online
        node.reason = "healthy"
        node.status = Sample.status()
        node.desiredRelease = try Sample.digest(9)
        node.probation = ProbationRule(holdSeconds: 1, deadlineSeconds: 2, attempts: 3)
        node.generation = 7
        node.planGeneration = 8
        node.registrationID = "r"
        node.tokenID = "t"
        node.wasAdmitted = true
        node.wasOnline = true
        node.wipeRequested = true
        node.lastSeenSeconds = 2000
        try await store.write { [node] in try $0.save(node) }
        #expect(try await store.read { try $0.node(Sample.nodeID("a")) } == node)
        #expect(try await store.read { try $0.node(keyDigest: Sample.digest(1)) } == node)
        #expect(try await store.read { try $0.admittedNodes(identity: "u|S1") } == [node])
        #expect(try await store.read { try $0.countOfUnadmittedNodes() } == 0)
    }

    @Test func tellsWhichNodesNeedARelease() async throws {
        let release = try Sample.digest(9)
        func node(_ letter: Character, _ change: (inout NodeRecord) -> Void) throws -> NodeRecord {
            var node = try Sample.node(letter, key: 1)
            node.status = Sample.status()
            change(&node)
            return node
        }
        let held = SlotReport(state: "verified", release: release, version: "1")
        let nodes = [
            try node("a") { $0.status?.slots[.a] = held },
            try node("b") { $0.status?.slots[.b] = held },
            try node("c") { $0.desiredRelease = release },
            try node("d") { $0.status?.quarantined = [QuarantinedRelease(release: release, reason: "bad")] },
            try node("e") {
                $0.status?.slots[.a] = held
                $0.state = .retired
            },
            try node("f") { $0.status = nil },
        ]
        #expect(nodes.map { $0.need(of: release) } == [.running, .other, .desired, nil, .running, nil])
        try await store.write { transaction in for node in nodes { try transaction.save(node) } }
        func needing(_ limit: Int) async throws -> [NodeRecord] {
            try await store.read { try $0.nodes(needing: release, limit: limit) }
        }
        #expect(try await needing(10) == Array(nodes[..<3]))
        #expect(try await needing(2) == Array(nodes[..<2]))
    }

    @Test func undoesAWriteThatThrows() async throws {
        let node = try Sample.node("a", key: 1)
        await #expect(throws: StoreError.self) {
            try await store.write { transaction in
                try transaction.save(node)
                throw StoreError("changed my mind")
            }
        }
        #expect(try await store.read { try $0.node(node.id) } == nil)
    }

    @Test func refusesToWriteInARead() async throws {
        let node = try Sample.node("a", key: 1)
        await #expect(throws: (any Error).self) { try await store.read { try $0.save(node) } }
    }

    @Test func pagesNodesOldestFirst() async throws {
        let nodes = [try Sample.node("a", key: 1), try Sample.node("b", key: 2), try Sample.node("c", key: 3)]
        try await store.write { transaction in try nodes.reversed().forEach { try transaction.save($0) } }
        #expect(try await store.read { try $0.nodes(after: nil, limit: 2) } == Array(nodes.prefix(2)))
        #expect(try await store.read { try $0.nodes(after: nodes[1].id, limit: 2) } == [nodes[2]])
    }

    @Test func replacesProgressOfAStepByItsNextReport() async throws {
        let id = try Sample.nodeID("a")
        let sequences = try await store.write { transaction in
            try (UInt64(1)...3).map { done in
                let step = StepReport(
                    sequence: "provision", step: "stream-image", state: .progress, done: done, milliseconds: 1)
                try transaction.removeProgress(node: id, sequence: "provision", step: "stream-image")
                return try transaction.append(
                    Event(sequence: 0, timeSeconds: 1, node: id, kind: "step", message: "m", step: step))
            }
        }
        #expect(sequences == [1, 2, 3])
        let events = try await store.read { try $0.events(after: 0, node: id, limit: 10) }
        #expect(events.map(\.sequence) == [3])
        #expect(events.first?.step?.done == 3)
    }

    @Test func boundsTheStepsOfANode() async throws {
        let node = try Sample.node("a", key: 1)
        let steps = try await store.write { transaction in
            try transaction.save(node)
            for number in 0..<200 {
                let step = StepReport(sequence: "provision", step: "\(number)", state: .started, milliseconds: 0)
                try transaction.save(step, node: node.id, timeSeconds: 1)
            }
            let again = StepReport(sequence: "provision", step: "150", state: .finished, milliseconds: 0)
            try transaction.save(again, node: node.id, timeSeconds: 2)
            return try transaction.steps(node: node.id)
        }
        #expect(steps.map(\.step) == (72..<200).map { "\($0)" })
        #expect(steps.first { $0.step == "150" }?.state == .finished)
    }

    @Test func keepsTheNewestEvents() async throws {
        try await store.write { transaction in
            for number in 1...10 {
                try transaction.append(
                    Event(sequence: 0, timeSeconds: Int64(number), node: nil, kind: "k", message: "m"))
            }
            try transaction.pruneEvents(keeping: 4)
        }
        #expect(
            try await store.read { try $0.events(after: 0, node: nil, limit: 100) }.map(\.sequence) == [7, 8, 9, 10])
        #expect(try await store.read { try $0.newestEventSequence() } == 10)
    }

    @Test func boundsTheLogOfEachNode() async throws {
        let one = try Sample.node("a", key: 1)
        let two = try Sample.node("b", key: 2)
        try await store.write { transaction in
            try transaction.save(one)
            try transaction.save(two)
            let quiet = LogChunk(source: "init", text: "quiet")
            try transaction.append(quiet, node: two.id, timeSeconds: 1, keepBytes: 100)
            for number in 0..<50 {
                let chunk = LogChunk(source: "agent", text: "line \(number % 10) ..")
                try transaction.append(chunk, node: one.id, timeSeconds: 1, keepBytes: 100)
            }
        }
        let kept = try await store.read { try $0.logs(node: one.id, after: 0, source: nil, limitBytes: 1000) }
        #expect(kept.count == 11)
        #expect(kept.last?.text == "line 9 ..")
        #expect(try await store.read { try $0.logs(node: one.id, after: 0, source: nil, limitBytes: 20) }.count == 2)
        // Page by page, oldest first, nothing is left out; a piece larger than a page comes alone.
        for limit in [1, 20, 40] {
            var read: [LogEntry] = []
            while true {
                let last = read.last?.sequence ?? 0
                let page = try await store.read { [last] in
                    try $0.logs(node: one.id, after: last, source: nil, limitBytes: limit)
                }
                if page.isEmpty { break }
                read += page
            }
            #expect(read == kept)
        }
        #expect(try await store.read { try $0.logs(node: two.id, after: 0, source: "init", limitBytes: 20) }.count == 1)
        #expect(try await store.read { try $0.logs(node: two.id, after: 0, source: "agent", limitBytes: 20) }.isEmpty)
    }

    @Test func removesWhatBelongsToARemovedNode() async throws {
        let node = try Sample.node("a", key: 1)
        try await store.write { transaction in
            try transaction.save(node)
            try transaction.insert(NodeCommand(id: "c", kind: .reboot), node: node.id, timeSeconds: 1)
            #expect(try transaction.commands(node: node.id) == [NodeCommand(id: "c", kind: .reboot)])
            try transaction.removeNode(node.id)
            #expect(try transaction.commands(node: node.id).isEmpty)
        }
    }

    @Test func keepsReleasesKeysAndSettings() async throws {
        let release = ReleaseRecord(
            name: try Sample.digest(1), product: "p", version: "1", epoch: 0, architecture: .amd64, packBytes: 1,
            rootBytes: 2, treeBytes: 3, ukiBytes: 4, bootBytes: 5, publishedSeconds: 6)
        let key = ReleaseKey(keytype: "ed25519", scheme: "ed25519", public: "00")
        try await store.write { transaction in
            try transaction.insert(release)
            try transaction.insert(release)
            try transaction.insert(key, id: "k")
            try transaction.insert(key, id: "k")
            try transaction.setSetting("a", to: "1")
            try transaction.setSetting("a", to: "2")
        }
        #expect(try await store.read { try $0.releases() } == [release])
        #expect(try await store.read { try $0.releaseKeys() } == [key])
        try await store.write { try $0.removeRelease(release.name) }
        try await store.write { try $0.removeRelease(release.name) }
        #expect(try await store.read { try $0.releases() }.isEmpty)
        #expect(try await store.read { try $0.setting("a") } == "2")
        try await store.write { try $0.setSetting("a", to: nil) }
        #expect(try await store.read { try $0.setting("a") } == nil)
    }
}

struct StoreFileTests {
    @Test func fileIsForItsOwnerOnly() async throws {
        let directory = try ScratchDirectory()
        let path = directory.path + "/apusd.sqlite"
        let store = try SQLiteStore(path: path)
        try await store.write { try $0.setSetting("a", to: "1") }
        for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
            let attributes = try FileManager.default.attributesOfItem(atPath: directory.path + "/" + name)
            #expect((attributes[.posixPermissions] as? Int) == 0o600, "\(name)")
        }
    }

    @Test func refusesAFileOfANewerVersion() async throws {
        let directory = try ScratchDirectory()
        let path = directory.path + "/apusd.sqlite"
        let store = try SQLiteStore(path: path)
        try store.close()
        try Schema.pretendNewer(path)
        #expect(throws: StoreError.self) { try SQLiteStore(path: path) }
        #expect(throws: StoreError.self) { try SQLiteStore.check(path: path) }
    }

    @Test func refusesAFileThatIsNoDatabase() throws {
        let directory = try ScratchDirectory()
        let path = directory.path + "/apusd.sqlite"
        try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: path))
        #expect(throws: StoreError.self) { try SQLiteStore(path: path) }
    }

    @Test func copiesAStoreThatIsInUse() async throws {
        let directory = try ScratchDirectory()
        let store = try SQLiteStore(path: directory.path + "/live.sqlite")
        try await store.write { try $0.setSetting("a", to: "1") }
        let copy = directory.path + "/copy.sqlite"
        try SQLiteStore.copy(from: store.path, to: copy)
        try await store.write { try $0.setSetting("a", to: "2") }
        try SQLiteStore.check(path: copy)
        let restored = try SQLiteStore(path: copy)
        #expect(try await restored.read { try $0.setting("a") } == "1")
    }
}
