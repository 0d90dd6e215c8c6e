import Contract
import Testing

@testable import Workloads

/// Functions that are zips: what a document may say, what runs, and what is fetched for it.
@Suite struct FunctionPackages {
    static let digits = String(repeating: "ab", count: 32)
    static let address = "https://files.example/team/f.zip@sha256:\(digits)"
    static let base = "registry.example/provided@sha256:\(String(repeating: "cd", count: 32))"

    static func document(_ image: String = address, base: String? = base, _ more: String = "") -> [UInt8] {
        let settings = base.map { #", "function": {"base_image": "\#($0)", "handler": "a.b"}"# } ?? ""
        return Array(#"{"name": "f", "kind": "function", "image": "\#(image)"\#(settings)\#(more)}"#.utf8)
    }

    static func problems(_ document: [UInt8]) -> [String] {
        do {
            _ = try Workload(parsing: document, requiresDigest: false)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func aZipNeedsABaseAndABaseIsInARegistry() throws {
        let registry = "registry.example/f:1"
        for image in [Self.address, registry] {
            #expect(Self.problems(Self.document(image)) == [])
            #expect(Self.problems(Self.document(image, base: "registry.example/provided:al2023")) == [])
        }
        #expect(Self.problems(Self.document(registry, base: nil)) == [], "an image of its own")
        let homeless = Self.problems(Self.document(base: nil))
        #expect(homeless.count == 1 && homeless[0].hasPrefix("function.base_image: is missing"), "\(homeless)")
        let remote = Self.problems(Self.document(base: Self.address))
        #expect(remote.count == 1 && remote[0].hasPrefix("function.base_image: 'https://"), "\(remote)")
        let untold = Self.problems(Self.document("https://files.example/f.zip"))
        #expect(untold.contains { $0.hasPrefix("image: ") }, "an address without a digest: \(untold)")
        // On its way to a node every digest is known.
        #expect(throws: DocumentError.self) {
            try Workload(parsing: Self.document(Self.address, base: "registry.example/provided:al2023"))
        }
    }

    @Test func nothingIsMountedOverTheZip() {
        for (more, field) in [
            (#", "secrets": [{"source": "s", "target": "/var/task/s"}]"#, "secrets: '/var/task/s'"),
            (
                #", "volumes": [{"type": "tmpfs", "target": "/var/task", "tmpfs": {"size": "1m"}}]"#,
                "volumes: '/var/task'"
            ),
        ] {
            #expect(Self.problems(Self.document(Self.address, base: Self.base, more)).contains { $0.hasPrefix(field) })
            #expect(Self.problems(Self.document("registry.example/f:1", base: nil, more)) == [])
        }
        let beside = #", "volumes": [{"type": "tmpfs", "target": "/var/tasks", "tmpfs": {"size": "1m"}}]"#
        #expect(Self.problems(Self.document(Self.address, base: Self.base, beside)) == [])
    }

    @Test func whatRunsIsTheZipsBootstrapInItsOwnDirectory() throws {
        var input = try Fixture.input()
        input.wire = nil
        input.workload = try Workload(parsing: Self.document())
        input.image = ImageDefaults(
            entrypoint: ["/lambda-entrypoint.sh"], command: ["base.handler"],
            environment: ["PATH=/base", "LAMBDA_TASK_ROOT=/evil"], workingDirectory: "/base",
            user: SandboxUser(uid: 993, gid: 990))
        let config = try Sandbox.plan(input).runtimeConfig
        #expect(config.arguments == ["/var/task/bootstrap"] && config.workingDirectory == "/var/task")
        #expect(config.user.uid == 993 && config.environment.contains("PATH=/base"))
        #expect(Set(config.environment).isSuperset(of: ["LAMBDA_TASK_ROOT=/var/task", "_HANDLER=a.b"]))
        let task = try #require(config.mounts.first { $0.destination == "/var/task" })
        #expect(task.source == input.paths.task && Set(task.options) == ["bind", "ro", "nosuid", "nodev"])
        // The document's words come first, as everywhere.
        input.workload = try Workload(
            parsing: Self.document(
                Self.address, base: Self.base, #", "command": ["--fast"], "working_dir": "/tmp", "user": "0""#))
        let changed = try Sandbox.plan(input).runtimeConfig
        #expect(changed.arguments == ["/var/task/bootstrap", "--fast"] && changed.workingDirectory == "/tmp")
        // A function that is an image keeps what that says.
        input.workload = try Workload(parsing: Self.document(Self.base, base: nil))
        let whole = try Sandbox.plan(input).runtimeConfig
        #expect(whole.arguments == ["/lambda-entrypoint.sh", "base.handler"] && whole.workingDirectory == "/base")
        #expect(!whole.mounts.contains { $0.destination == "/var/task" })
    }

    @Test func anotherBaseOrZipIsAnotherRevision() throws {
        let other = "registry.example/provided@sha256:\(String(repeating: "ef", count: 32))"
        let zip = "https://files.example/team/f.zip@sha256:\(String(repeating: "ef", count: 32))"
        let all = try [Self.document(), Self.document(base: other), Self.document(zip)].map {
            try Workload(parsing: $0).revision
        }
        #expect(Set(all.map(\.canonical)).count == 3)
        #expect(all[0].images.map(\.description) == [Self.address, Self.base])
    }

    @Test func bothImagesAreFetchedOneRightAfterTheOther() throws {
        var node = SimulatedNode()
        let more = #", "kind": "function", "function": {"base_image": "\#(Self.base)"}"#
        try node.want("f", 1, more)
        node.step()
        #expect(node.pulls == 1 && node.report("f")?.phase == .pulling)
        node.step()
        #expect(node.pulls == 2)
        node.step()
        #expect(node.pulls == 2 && node.log.contains { if case .prepare = $0 { true } else { false } })
        node.steps(3)
        #expect(node.report("f")?.phase == .running && node.starts.isEmpty, "calls start it")
    }

    @Test func aMissingBaseIsAStateAndIsAskedForEverMoreRarely() throws {
        var node = SimulatedNode()
        node.missing = [try #require(Digest256(hex: String(repeating: "cd", count: 32)))]
        try node.want("f", 1, #", "kind": "function", "function": {"base_image": "\#(Self.base)"}"#)
        node.steps(3600)
        #expect(node.report("f")?.phase == .pulling)
        #expect(node.report("f")?.reason == "the image could not be fetched: no such manifest")
        #expect((10...25).contains(node.pulls - 1), "\(node.pulls)")
    }
}
