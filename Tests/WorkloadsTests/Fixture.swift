import Contract
import Testing

@testable import Workloads

/// Values that several suites start from.
enum Fixture {
    static let image = "registry.example/app@sha256:\(String(repeating: "ab", count: 32))"

    static func workload(_ name: String = "web", _ more: String = "") throws -> Workload {
        try Workload(parsing: Array(#"{"name": "\#(name)", "image": "\#(image)"\#(more)}"#.utf8))
    }

    static func digest(_ byte: UInt8) throws -> Digest256 {
        try #require(Digest256(bytes: [UInt8](repeating: byte, count: 32)))
    }

    static func input(
        _ more: String = "", policy: NodePolicy = NodePolicy(), wire: NetworkPlan? = nil, paths: SandboxPaths? = nil,
        command: [String] = ["/bin/app"], devices: [GrantedDevice] = []
    ) throws -> SandboxInput {
        SandboxInput(
            workload: try workload("web", more), revision: try digest(7), policy: policy,
            ids: try #require(IDRange(first: IDRangePlanner.firstRange)), wire: wire,
            image: ImageDefaults(command: command, environment: ["PATH=/bin", "A=image"]), paths: paths,
            devices: devices)
    }
}
