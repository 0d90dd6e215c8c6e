import Contract
import Linux
import TestSupport
import Testing

@testable import Agent

@Suite struct HealthTests {
    /// A folder of checks.
    private func withDirectory(_ body: (String) throws -> Void) throws {
        let scratch = try Scratch()
        try scratch.folder("health.d")
        try body(scratch.path)
    }

    private func results(in directory: String) -> [String: CheckResult] {
        let checks = HealthChecks(directories: [directory], caCertificate: "", verityName: "apus-no-such-device").run()
        return Dictionary(checks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    @Test func anExecutableDecidesByItsExitStatusAndSaysWhy() throws {
        try withDirectory { directory in
            try Files.writeDurably(Array("#!/bin/sh\necho fine\n".utf8), to: directory + "/health.d/good", mode: 0o755)
            try Files.writeDurably(
                Array("#!/bin/sh\necho broken pump >&2\nexit 3\n".utf8), to: directory + "/health.d/bad", mode: 0o755)
            try Files.writeDurably(Array("not a program".utf8), to: directory + "/health.d/note.txt", mode: 0o644)
            let results = results(in: directory)
            #expect(results["good"] == CheckResult(name: "good", passed: true, detail: "fine"))
            #expect(results["bad"] == CheckResult(name: "bad", passed: false, detail: "broken pump"))
            #expect(results["note.txt"] == nil)
        }
    }

    @Test func anExecutableThatOthersMayWriteIsNotRun() throws {
        try withDirectory { directory in
            let path = directory + "/health.d/loose"
            try Files.writeDurably(Array("#!/bin/sh\ntouch \(directory)/ran\n".utf8), to: path, mode: 0o777)
            #expect(results(in: directory)["loose"]?.passed == false)
            #expect(!Files.exists(directory + "/ran"))
        }
    }

    @Test func aConfigurationThatCannotBeReadIsNotHealthy() throws {
        try withDirectory { directory in
            for text in ["{", "{\"format\":9}", "{\"format\":1,\"tcp\":[{\"name\":\"x\",\"host\":\"h\",\"port\":0}]}"] {
                try Files.writeDurably(Array(text.utf8), to: directory + "/health.json")
                #expect(results(in: directory)[directory + "/health.json"]?.passed == false)
            }
        }
    }

    @Test func aClosedPortAndAnUnreachableAddressFail() throws {
        try withDirectory { directory in
            let configuration = HealthConfiguration(
                http: [HTTPCheck(name: "page", url: "http://127.0.0.1:1/")],
                tcp: [TCPCheck(name: "port", host: "127.0.0.1", port: 1)])
            try Files.writeDurably(try Wire.encode(configuration), to: directory + "/health.json")
            let results = results(in: directory)
            #expect(results["port"]?.passed == false)
            #expect(results["page"]?.passed == false)
        }
    }

    @Test(arguments: [
        ("running", "", true),
        ("degraded", "cups.service loaded failed failed CUPS\n", true),
        ("degraded", "a.service loaded failed failed A\n", false),
        ("starting", "", false),
        ("stopping", "", false),
        ("", "", false),
    ])
    func unitsAreJudgedByWhatFailed(state: String, list: String, expected: Bool) {
        let result = HealthChecks.judgeUnits(systemState: state, failedList: list, ignoring: ["cups.service"])
        #expect(result.passed == expected)
    }
}

@Suite struct AgentMemoryTests {
    private func state(_ generation: Int, _ commands: [String]) -> DesiredState {
        DesiredState(
            generation: generation, release: nil, releaseVersion: nil,
            commands: commands.map { NodeCommand(id: $0, kind: .sendLogs) })
    }

    @Test func aCommandIsCarriedOutOnce() {
        var memory = AgentMemory()
        memory.accept(state(1, ["one", "two"]))
        #expect(memory.openCommands.map(\.id) == ["one", "two"])
        memory.finish(memory.openCommands[0])
        #expect(memory.openCommands.map(\.id) == ["two"])
        memory.accept(state(2, ["one", "two"]))
        #expect(memory.openCommands.map(\.id) == ["two"])
    }

    @Test func acknowledgedCommandsAreForgottenWhenTheServerForgetsThem() {
        var memory = AgentMemory()
        memory.accept(state(1, ["one"]))
        memory.finish(memory.openCommands[0])
        memory.accept(state(2, []))
        #expect(memory.finishedCommands.isEmpty)
    }
}
