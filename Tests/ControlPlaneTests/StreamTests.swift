import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Testing
import Workloads

@testable import ControlPlane

struct FramePipeTests {
    private let frame = StreamFrame(.output, [UInt8](repeating: 7, count: 95))

    @Test func framesArriveInOrderAndThenTheEnd() async throws {
        let pipe = FramePipe()
        for byte in UInt8(0)..<10 { try await pipe.send(StreamFrame(.output, [byte])) }
        pipe.finish()
        for byte in UInt8(0)..<10 {
            #expect(try await pipe.receive(within: .seconds(600)) == .frame(StreamFrame(.output, [byte])))
        }
        #expect(try await pipe.receive(within: .seconds(600)) == .end)
        await #expect(throws: FramePipe.Closed.self) { try await pipe.send(frame) }
    }

    @Test func aFullPipeHoldsItsSenderBack() async throws {
        let pipe = FramePipe(limit: 1000)
        let frame = frame
        async let sent: Void = {
            for _ in 0..<100 { try await pipe.send(frame, patience: .seconds(600)) }
            pipe.finish()
        }()
        var received = 0
        while try await pipe.receive(within: .seconds(600)) == .frame(frame) {
            received += 1
            #expect(pipe.waitingBytes <= 1000)
        }
        try await sent
        #expect(received == 100)
    }

    @Test func anEmptyPipeSaysSoInTime() async throws {
        #expect(try await FramePipe().receive(within: .milliseconds(1)) == .nothing)
    }

    @Test func closingWakesWhoWaits() async throws {
        let pipe = FramePipe(limit: 1)
        try await pipe.send(frame)
        let frame = frame
        let sent = Task { try await pipe.send(frame, patience: .seconds(600)) }
        pipe.close()
        await #expect(throws: FramePipe.Closed.self) { try await sent.value }
        #expect(try await pipe.receive(within: .seconds(600)) == .end)
    }
}

struct StreamHubTests {
    private func make(_ now: ContinuousClock.Instant) throws -> (StreamHub, NodeID) {
        let hub = StreamHub()
        let node = try #require(NodeID(String(repeating: "1", count: 26)))
        try hub.open(StreamRequest(id: "s", workload: "web", kind: .logs), on: node, owner: "maria", now: now)
        return (hub, node)
    }

    @Test func aStreamThatNobodyTakesEnds() throws {
        let now = ContinuousClock.now
        let (hub, node) = try make(now)
        #expect(hub.waiting(for: node)?.count == 1)
        hub.sweep(now: now + .seconds(299))
        #expect(hub.count == 1)
        hub.sweep(now: now + .seconds(300))
        #expect(hub.count == 0 && hub.waiting(for: node) == nil)
        #expect(throws: APIFailure.self) { try hub.take(.nodeOutput, of: "s", by: .node(node)) }
    }

    @Test func aStreamLivesAsLongAsItsOutputIsTaken() throws {
        let now = ContinuousClock.now
        let (hub, node) = try make(now)
        _ = try hub.take(.nodeOutput, of: "s", by: .node(node), now: now)
        #expect(hub.waiting(for: node) == nil)
        hub.saw("s", now: now + .seconds(400))
        hub.sweep(now: now + .seconds(500))
        #expect(hub.count == 1)
        hub.sweep(now: now + .seconds(700))
        #expect(hub.count == 0)
    }

    @Test func anEndIsTakenOnceAndByItsNodeAlone() throws {
        let now = ContinuousClock.now
        let (hub, node) = try make(now)
        let stranger = try #require(NodeID(String(repeating: "2", count: 26)))
        #expect(throws: APIFailure.self) { try hub.take(.nodeOutput, of: "s", by: .node(stranger)) }
        _ = try hub.take(.nodeOutput, of: "s", by: .node(node))
        #expect(throws: APIFailure.self) { try hub.take(.nodeOutput, of: "s", by: .node(node)) }
        #expect(throws: APIFailure.self) { try hub.take(.operatorInput, of: "s", by: .owner("somebody")) }
        #expect(throws: APIFailure.self) { try hub.end("s", by: .owner("somebody")) }
        hub.release(.operatorOutput, of: "s")
        #expect(hub.count == 0)
    }
}

/// Streams through the real server, both ends over TLS.
struct StreamRouteTests {
    private func frames(_ bytes: [UInt8]) throws -> [StreamFrame] {
        var reader = StreamFrameReader()
        return try reader.take(bytes).filter { $0.kind != .idle }
    }

    @Test func framesGoFromTheNodeToTheOperatorAndBack() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { _ = try await $0.apply("web", try TestWorkload.document("web")) }
            let before = try await node.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            async let woken = node.connect(site) {
                try await $0.exchange(
                    .get, "/v1/node/desired?after=\(before.generation)&waitSeconds=55", as: DesiredState.self)
            }
            let order = StreamOrder(kind: .exec, command: ["/bin/cat"], tty: true)
            let request = try await site.administrator {
                try await $0.exchange(
                    .post, "/v1/nodes/\(node.id)/workloads/web/streams", order, as: StreamRequest.self)
            }
            #expect(try await woken.streams == [request])
            #expect(request.command == ["/bin/cat"] && request.tty && request.workload == "web")
            // Both sides at once, each over connections of its own.
            async let output = site.administrator { try await $0.send(.get, "/v1/streams/\(request.id)/output").bytes }
            async let input = node.connect(site) {
                try await $0.send(.get, "/v1/node/streams/\(request.id)/input").bytes
            }
            let typed = [StreamFrame.window(columns: 80, rows: 24), StreamFrame(.input, [1, 2]), StreamFrame(.input)]
            let accepted = try await site.administrator {
                try await $0.send(
                    .put, "/v1/streams/\(request.id)/input",
                    body: typed.flatMap(\.encoded) + StreamFrame(.idle).encoded)
            }
            #expect(accepted.status == .ok)
            #expect(try self.frames(try await input) == typed)
            let said = [
                StreamFrame(.output, [UInt8](repeating: 1, count: 60_000)), StreamFrame(.error, [3]),
                StreamFrame(.exit, Array("0".utf8)),
            ]
            _ = try await node.connect(site) {
                try await $0.send(
                    .put, "/v1/node/streams/\(request.id)/output", body: said.flatMap(\.encoded))
            }
            #expect(try self.frames(try await output) == said)
        }
    }

    @Test func aConversationThatIsCutIsSaidToBe() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { _ = try await $0.apply("web", try TestWorkload.document("web")) }
            for body in [StreamFrame(.output, [1]).encoded, StreamFrame(.output, [1]).encoded + [9, 9]] {
                let request = try await site.administrator {
                    try await $0.exchange(
                        .post, "/v1/nodes/\(node.id)/workloads/web/streams", StreamOrder(kind: .attach),
                        as: StreamRequest.self)
                }
                _ = try await node.connect(site) {
                    try await $0.send(.put, "/v1/node/streams/\(request.id)/output", body: body)
                }
                let output = try await site.administrator {
                    try await $0.send(.get, "/v1/streams/\(request.id)/output").bytes
                }
                #expect(try self.frames(output).map(\.kind) == [.output, .failure])
            }
        }
    }

    @Test func whatCannotBeIsRefused() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let other = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let placement = #""deploy": {"placement": {"nodes": ["\#(other.id)"]}}"#
                try await caller.apply("web", try TestWorkload.document("web", placement))
                let path = "/v1/nodes/\(node.id)/workloads"
                let logs = StreamOrder(kind: .logs, follow: true, tail: 10)
                #expect(try await caller.failure(.post, path + "/none/streams", logs).code == "workload-unknown")
                #expect(try await caller.failure(.post, path + "/web/streams", logs).code == "workload-elsewhere")
                let empty = StreamOrder(kind: .exec, command: [])
                #expect(try await caller.failure(.post, path + "/web/streams", empty).code == "malformed")
                #expect(try await caller.failure(.get, "/v1/streams/none/output").code == "stream-unknown")
                #expect(try await caller.failure(.delete, "/v1/streams/none").code == "stream-unknown")
                let request = try await caller.exchange(
                    .post, "/v1/nodes/\(other.id)/workloads/web/streams", logs, as: StreamRequest.self)
                try await node.connect(site) { stranger in
                    let failure = try await stranger.failure(.put, "/v1/node/streams/\(request.id)/output")
                    #expect(failure.code == "stream-unknown")
                }
                let wrong = try await caller.send(
                    .put, "/v1/streams/\(request.id)/input", body: StreamFrame(.exit, [48]).encoded)
                #expect(try Failure(wrong).code == "malformed")
                _ = try await caller.exchange(.delete, "/v1/streams/\(request.id)", as: Acknowledgement.self)
            }
        }
    }
}
