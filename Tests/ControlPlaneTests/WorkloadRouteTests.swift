import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Testing
import Workloads

@testable import ControlPlane

/// Workloads from an operator's document to the node that runs them, and back to what operators see.
struct WorkloadRouteTests {
    @Test func aDocumentBecomesARevisionOnTheNodesThatMatch() async throws {
        try await TestSite.run { site in
            let berlin = try await AdmittedNode.make(site, labels: ["site": "berlin"])
            let paris = try await AdmittedNode.make(site, labels: ["site": "paris"])
            let placement = #""deploy": {"placement": {"constraints": ["node.labels.site==berlin"]}}"#
            let applied = try await site.administrator {
                try await $0.apply("web", try TestWorkload.document("web", placement))
            }
            #expect(applied.isChanged && applied.nodes == [berlin.id] && applied.notes.isEmpty)
            let assignment = try await berlin.connect(site) { try await $0.assignment() }
            let desired = try #require(try assignment.workloads.first?.desired())
            #expect(assignment.workloads.count == 1 && desired.revision == applied.revision)
            #expect(!desired.isStopped && desired.workload.name.rawValue == "web")
            let other = try await paris.connect(site) { try await $0.assignment() }
            #expect(other.workloads.isEmpty)
            // The same document again is nothing new, and wakes nobody.
            let again = try await site.administrator {
                try await $0.apply("web", try TestWorkload.document("web", placement))
            }
            #expect(!again.isChanged && again.revision == applied.revision)
            let same = try await berlin.connect(site) { try await $0.assignment() }
            #expect(same.generation == assignment.generation)
        }
    }

    @Test func aChangedAssignmentWakesItsNodeAndNoOther() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site, labels: ["name": "one"])
            let other = try await AdmittedNode.make(site, labels: ["name": "two"])
            let before = try await node.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            let bystander = try await other.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            #expect(before.workloads != nil)
            async let next = node.connect(site) {
                try await $0.exchange(
                    .get, "/v1/node/desired?after=\(before.generation)&waitSeconds=55", as: DesiredState.self)
            }
            try await site.administrator {
                _ = try await $0.apply(
                    "web", try TestWorkload.document("web", #""deploy": {"placement": {"nodes": ["one"]}}"#))
            }
            let after = try await next
            #expect(after.generation > before.generation && after.workloads != before.workloads)
            let assignment = try await node.connect(site) { try await $0.assignment() }
            #expect(assignment.generation == after.workloads)
            let still = try await other.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            #expect(still == bystander)
        }
    }

    @Test func labelsMoveAWorkload() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let placement = #""deploy": {"placement": {"constraints": ["node.labels.role==edge"]}}"#
            let applied = try await site.administrator {
                try await $0.apply("web", try TestWorkload.document("web", placement))
            }
            #expect(applied.nodes.isEmpty && applied.notes.count == 1)
            try await site.administrator {
                _ = try await $0.exchange(
                    .post, "/v1/nodes/\(node.id)/labels", LabelRequest(labels: ["role": "edge"]), as: NodeView.self)
            }
            let assignment = try await node.connect(site) { try await $0.assignment() }
            let state = try await node.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            #expect(assignment.workloads.count == 1 && state.workloads == assignment.generation)
        }
    }

    @Test func aZipsBaseImageIsResolvedAndItsRegistrysAccountGoesWithIt() async throws {
        let tags = TestTags(["registry.example/provided:al2023": try TestWorkload.digest(7)])
        try await TestSite.run(resolver: tags) { site in
            let node = try await AdmittedNode.make(site)
            let zip = "https://files.example/f.zip@sha256:\(try TestWorkload.digest(3))"
            @Sendable func document(_ base: String) -> [UInt8] {
                Array(#"{"name": "f", "kind": "function", "image": "\#(zip)", "function": {\#(base)}}"#.utf8)
            }
            try await site.administrator { caller in
                let password = try #require(SecretValue(bytes: Array("hunter2".utf8)))
                _ = try await caller.exchange(
                    .put, "/v1/registries/registry.example", RegistryRequest(username: "user", password: password),
                    as: RegistryView.self)
                let response = try await caller.send(.put, "/v1/workloads/f", body: document(""))
                #expect(response.status == .unprocessableContent)
                let words = String(decoding: response.bytes, as: UTF8.self)
                #expect(words.contains("function.base_image: is missing"), "\(words)")
                try await caller.apply("f", document(#""base_image": "registry.example/provided:al2023""#))
            }
            #expect(tags.questions.map(\.image) == ["registry.example/provided:al2023"], "the zip has its digest")
            let assignment = try await node.connect(site) { try await $0.assignment() }
            let revision = try #require(try assignment.workloads.first?.desired()).workload.revision
            #expect(revision.image.description == zip)
            #expect(revision.function?.baseImage?.digest == (try TestWorkload.digest(7)))
            #expect(assignment.registries.map(\.host) == ["registry.example"])
        }
    }

    @Test func aTagIsResolvedOnceAndItsDigestIsKept() async throws {
        let tags = TestTags(["registry.example:5000/app:1": try TestWorkload.digest(7)])
        try await TestSite.run(resolver: tags) { site in
            let document = Array(#"{"name": "web", "image": "registry.example:5000/app:1"}"#.utf8)
            try await site.administrator { caller in
                let password = try #require(SecretValue(bytes: Array("hunter2".utf8)))
                _ = try await caller.exchange(
                    .put, "/v1/registries/registry.example:5000",
                    RegistryRequest(username: "user", password: password), as: RegistryView.self)
                let applied = try await caller.apply("web", document)
                let digest = try TestWorkload.digest(7)
                #expect(applied.image == "registry.example:5000/app:1@sha256:\(digest)")
                #expect(tags.questions.map(\.image) == ["registry.example:5000/app:1"])
                #expect(tags.questions.first?.account?.password == password)
                _ = try await caller.exchange(.post, "/v1/workloads/web/restart", as: WorkloadDetail.self)
                #expect(tags.questions.count == 1)
                tags.set("registry.example:5000/app:1", to: try TestWorkload.digest(8))
                let moved = try await caller.apply("web", document)
                #expect(moved.isChanged && moved.revision != applied.revision, "applied again, it is asked again")
                let failure = try await #require(throws: Failure.self) {
                    try await caller.apply(
                        "job", Array(#"{"name": "job", "image": "registry.example:5000/no:1"}"#.utf8))
                }
                #expect(failure.status == 422 && failure.code == "image-unresolved")
                #expect(failure.message.contains("it does not exist there"))
            }
        }
    }

    @Test func aRefusalNamesEveryProblemAtOnce() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                let response = try await caller.send(
                    .put, "/v1/workloads/web",
                    body: Array(#"{"name": "web", "image": "nginx", "comand": [], "cpus": "x"}"#.utf8))
                let error = try Wire.decode(APIError.self, from: response.bytes)
                #expect(response.status.code == 422 && error.code == "document-refused")
                #expect(error.problems?.count == 3)
                #expect(error.message.contains("the nearest known one is 'command'"))
                let alone = try await #require(throws: Failure.self) {
                    try await caller.apply(
                        "web", try TestWorkload.document("web", #""depends_on": ["db"], "links": ["cache"]"#))
                }
                #expect(alone.code == "document-refused" && alone.message.contains("for 2 reasons"))
                let other = try await #require(throws: Failure.self) {
                    try await caller.apply("web", try TestWorkload.document("job"))
                }
                #expect(other.message.contains("the address says 'web'"))
                let terminal = try await #require(throws: Failure.self) {
                    try await caller.apply("web", try TestWorkload.document("web", #""tty": true"#))
                }
                #expect(terminal.code == "document-refused" && terminal.message.contains("exec -t"))
                let silent = try await #require(throws: Failure.self) {
                    try await caller.apply("web", try TestWorkload.document("web", #""read_only": false"#))
                }
                #expect(silent.message.contains("writable-root"))
                #expect(try await caller.failure(.get, "/v1/workloads/web").code == "workload-unknown")
                #expect(try await caller.failure(.get, "/v1/workloads/Web!").status == 400)
            }
        }
    }

    @Test func revisionsAreKeptAndRolledBackTo() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let first = try await caller.apply("web", try TestWorkload.document("web", image: 1))
                let second = try await caller.apply("web", try TestWorkload.document("web", image: 2))
                let kept = try await caller.exchange(
                    .get, "/v1/workloads/web/revisions", as: WorkloadRevisionList.self
                ).revisions
                #expect(kept.map(\.revision) == [second.revision, first.revision])
                #expect(kept.map(\.isCurrent) == [true, false])
                let back = try await caller.exchange(.post, "/v1/workloads/web/rollback", as: WorkloadDetail.self)
                #expect(back.workload.revision == first.revision)
                let digits = String(second.revision.description.prefix(8))
                let forward = try await caller.exchange(
                    .post, "/v1/workloads/web/rollback", RollbackRequest(revision: digits), as: WorkloadDetail.self)
                #expect(forward.workload.revision == second.revision && forward.revisions.count == 2)
                let unknown = try await caller.failure(
                    .post, "/v1/workloads/web/rollback", RollbackRequest(revision: "00000000"))
                #expect(unknown.code == "revision-unknown")
                _ = try await caller.apply("job", try TestWorkload.document("job"))
                #expect(try await caller.failure(.post, "/v1/workloads/job/rollback").code == "no-revision")
            }
            let assignment = try await node.connect(site) { try await $0.assignment() }
            #expect(try assignment.workloads.map { try $0.desired().workload.name.rawValue } == ["job", "web"])
        }
    }

    @Test func stopStartRestartAndDeleteReachTheNode() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            func wanted() async throws -> (isStopped: Bool, restarts: Int)? {
                try await node.connect(site) { try await $0.assignment() }.workloads.first
                    .map { ($0.isStopped, $0.restarts) }
            }
            func order(_ order: String) async throws {
                try await site.administrator {
                    _ = try await $0.exchange(.post, "/v1/workloads/web/\(order)", as: WorkloadDetail.self)
                }
            }
            try await site.administrator { _ = try await $0.apply("web", try TestWorkload.document("web")) }
            try await order("stop")
            #expect(try await wanted()?.isStopped == true)
            try await order("start")
            #expect(try await wanted()?.isStopped == false)
            try await order("restart")
            #expect(try await wanted()?.restarts == 1)
            try await site.administrator { caller in
                try await caller.apply("user", try TestWorkload.document("user", #""depends_on": ["web"]"#))
                #expect(try await caller.failure(.delete, "/v1/workloads/web").code == "workload-in-use")
                for name in ["user", "web"] {
                    _ = try await caller.exchange(.delete, "/v1/workloads/\(name)", as: Acknowledgement.self)
                }
                #expect(try await caller.exchange(.get, "/v1/workloads", as: WorkloadList.self).workloads.isEmpty)
                let events = try await caller.exchange(.get, "/v1/events", as: EventList.self).events
                let messages = events.filter { $0.kind == "workload" }.map(\.message)
                for word in ["is new", "to stop", "to start", "to restart", "was deleted"] {
                    #expect(messages.contains { $0.contains(word) }, "\(word)")
                }
            }
            #expect(try await wanted() == nil)
        }
    }

    @Test func whatNodesReportIsWhatOperatorsSee() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site, labels: ["name": "one"])
            let name = try #require(WorkloadName("web"))
            let applied = try await site.administrator {
                try await $0.apply("web", try TestWorkload.document("web"))
            }
            let silent = try await site.administrator {
                try await $0.exchange(.get, "/v1/workloads/web", as: WorkloadDetail.self)
            }
            #expect(silent.workload.nodes.map(\.phase) == [nil] && silent.workload.nodes.map(\.nodeName) == ["one"])
            try await node.connect(site) { caller in
                for (number, phase) in [WorkloadReport.Phase.pulling, .running, .running, .failed].enumerated() {
                    var report = WorkloadReport(
                        name: name, phase: phase, reason: phase == .failed ? "exit\u{1b}[2J 1" : "",
                        revision: applied.revision, desired: applied.revision)
                    report.calls = FunctionCounts()
                    report.calls?.calls = number
                    _ = try await caller.exchange(
                        .post, "/v1/node/workloads", WorkloadReports(generation: 1, reports: [report]),
                        as: Acknowledgement.self)
                }
                let twice = WorkloadReports(
                    generation: 1,
                    reports: [WorkloadReport(name: name, phase: .running), WorkloadReport(name: name, phase: .failed)])
                #expect(try await caller.failure(.post, "/v1/node/workloads", twice).code == "malformed")
            }
            try await site.administrator { caller in
                let view = try #require(
                    try await caller.exchange(.get, "/v1/workloads", as: WorkloadList.self).workloads.first)
                #expect(view.nodes.map(\.phase) == [.failed] && view.nodes.map(\.reason) == ["exit[2J 1"])
                #expect(view.nodes.map(\.calls?.calls) == [3], "the newest counts")
                let events = try await caller.exchange(.get, "/v1/events?node=\(node.id)", as: EventList.self).events
                #expect(events.filter { $0.kind == "workload" }.count == 2, "running and failed, each once")
                // What is no longer wanted and not yet gone is still shown, as long as there is a workload.
                _ = try await caller.apply(
                    "web", try TestWorkload.document("web", #""deploy": {"placement": {"nodes": ["elsewhere"]}}"#))
                let moved = try await caller.exchange(.get, "/v1/workloads/web", as: WorkloadDetail.self)
                #expect(moved.workload.nodes.map(\.isPlaced) == [false])
            }
        }
    }

    @Test func workloadsSurviveARestartOfTheServer() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { site in
            try await site.administrator { _ = try await $0.apply("web", try TestWorkload.document("web")) }
        }
        try await TestSite.run(in: scratch) { site in
            let node = try await AdmittedNode.make(site)
            let assignment = try await node.connect(site) { try await $0.assignment() }
            #expect(assignment.workloads.count == 1)
        }
    }
}
