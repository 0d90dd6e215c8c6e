import Contract
import Fetch
import Foundation
import Testing
import Workloads

/// Logs, commands and attaching, with a node that opens its end as an agent does.
@Suite struct StreamTests {
    /// A server with one node and the workload `web` on it.
    private func site() async throws -> (server: RunningServer, node: NodeEnd) {
        let server = try await RunningServer()
        let node = try await TestMachine().admitted(server)
        let file = try server.scratch.write(
            "web.yaml", "name: web\nimage: r.example/web@sha256:\(String(repeating: "0", count: 64))\n")
        #expect(try await server.apus("workload", "apply", "-f", file).code == 0)
        return (server, node)
    }

    /// The node's part: takes what is typed to its end where that is wanted, and answers.
    private static func serve(
        _ node: NodeEnd, readsInput: Bool = false, _ answer: (StreamRequest, [UInt8]) -> [StreamFrame]
    ) throws {
        let request = try node.wait { _, state in state.streams?.first }
        let address = node.address + "/v1/node/streams/\(request.id)/"
        let typed = readsInput ? try input(node, address) : []
        let bytes = answer(request, typed).flatMap(\.encoded)
        var left = bytes[...]
        _ = try node.connect().upload("PUT", address + "output", sizeBytes: UInt64(bytes.count)) { buffer in
            let count = min(buffer.count, left.count)
            buffer.copyBytes(from: left.prefix(count))
            left = left.dropFirst(count)
            return count
        }
    }

    private static func input(_ node: NodeEnd, _ address: String) throws -> [UInt8] {
        struct Ended: Error {}
        var reader = StreamFrameReader()
        var typed: [UInt8] = []
        do {
            try node.connect().download(address + "input", limitBytes: 1 << 30) { bytes in
                for frame in try reader.take(bytes) where frame.kind == .input {
                    guard !frame.bytes.isEmpty else { throw Ended() }
                    typed += frame.bytes
                }
            }
        } catch is Ended {}
        return typed
    }

    @Test func logsComeAsTheyWereWrittenEachToItsOwnStream() async throws {
        let (server, node) = try await site()
        let environment = server.environment
        for isJSON in [false, true] {
            async let outcome = run(
                Programs.apus, ["workload", "logs", "web", "--tail", "5"] + (isJSON ? ["--json"] : []),
                environment: environment)
            try await onThread {
                try Self.serve(node) { request, _ in
                    let isAsked = request.kind == .logs && request.tail == 5 && !request.follow
                    let text = isAsked ? "one\u{1B}[2J\ntw" : "wrong request"
                    return [
                        StreamFrame(.output, text.utf8), StreamFrame(.error, "oops\n".utf8),
                        StreamFrame(.output, "o\nthree".utf8),
                    ]
                }
            }
            let ended = try await outcome
            #expect(ended.code == 0, "\(ended.errors)")
            if isJSON {
                let lines = ended.output.split(separator: "\n").map { String($0) }
                #expect(lines.count == 4)
                #expect(lines.contains(#"{"stream":"stderr","text":"oops"}"#))
                #expect(lines.last == #"{"stream":"stdout","text":"three"}"#)
            } else {
                #expect(ended.output == "one\u{1B}[2J\ntwo\nthree")
                #expect(ended.errors == "oops\n")
            }
        }
    }

    @Test func commandGetsItsInputAndGivesItsExitCode() async throws {
        let (server, node) = try await site()
        let environment = server.environment
        let typed = String(repeating: "0123456789", count: 30_000)
        async let outcome = run(
            Programs.apus, ["workload", "exec", "web", "-i", "--", "wc", "-c"], environment: environment,
            input: typed)
        try await onThread {
            try Self.serve(node, readsInput: true) { request, typed in
                let words = request.command?.joined(separator: " ") ?? ""
                return [
                    StreamFrame(.output, "\(words): \(typed.count)\n".utf8), StreamFrame(.error, "done\n".utf8),
                    StreamFrame(.exit, "77".utf8),
                ]
            }
        }
        let ended = try await outcome
        #expect(ended.code == 77)
        #expect(ended.output == "wc -c: 300000\n")
        #expect(ended.errors == "done\n")
    }

    @Test func commandThatCannotRunIsToldOf() async throws {
        let (server, node) = try await site()
        let environment = server.environment
        async let outcome = run(
            Programs.apus, ["workload", "exec", "web", "--", "sh"], environment: environment)
        try await onThread {
            try Self.serve(node) { _, _ in [StreamFrame(.failure, "it does not run\u{7}".utf8)] }
        }
        let ended = try await outcome
        #expect(ended.code == 1)
        #expect(ended.errors == "apus: it does not run?\n")

        async let cut = run(Programs.apus, ["workload", "attach", "web", "--listen"], environment: environment)
        try await onThread { try Self.serve(node) { _, _ in [StreamFrame(.output, "half".utf8)] } }
        #expect(try await cut.code == 1)
        #expect(try await cut.output == "half")
    }

    @Test func wrongUsageAndWrongPlacesAreNamed() async throws {
        let (server, _) = try await site()
        for wrong in [
            ["exec", "web"], ["exec", "web", "-t", "--", "sh"], ["exec", "web", "--json", "--", "sh"],
            ["logs", "web", "--tail", "-1"], ["attach", "web", "--json"],
        ] {
            let outcome = try await run(Programs.apus, ["workload"] + wrong, environment: server.environment)
            #expect(outcome.code == 64, "\(wrong)")
        }
        #expect(try await server.apus("workload", "logs", "web", "--node", "beta").errors.contains("not on 'beta'"))
        #expect(try await server.apus("workload", "logs", "nosuch").errors.contains("'apus workload list'"))
        let second = try await TestMachine().admitted(server)
        let several = try await server.apus("workload", "logs", "web")
        #expect(several.errors.contains("--node"))
        #expect(several.errors.contains(second.id.rawValue.prefix(12)))
    }
}
