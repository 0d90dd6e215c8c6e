import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Synchronization
import Workloads

@testable import ControlPlane

/// A registry that knows some tags, and what it was asked.
final class TestTags: TagResolver {
    private let tags: Mutex<[String: Digest256]>
    private let asked = Mutex<[(image: String, account: RegistryAccount?)]>([])

    init(_ tags: [String: Digest256] = [:]) { self.tags = Mutex(tags) }

    var questions: [(image: String, account: RegistryAccount?)] { asked.withLock { $0 } }

    func set(_ image: String, to digest: Digest256) { tags.withLock { $0[image] = digest } }

    func digest(of image: WorkloadImage, account: RegistryAccount?) async throws(TagProblem) -> Digest256 {
        asked.withLock { $0.append((image.description, account)) }
        guard let digest = tags.withLock({ $0[image.description] }) else {
            throw TagProblem("it does not exist there", isTransient: false)
        }
        return digest
    }
}

/// Documents of workloads.
enum TestWorkload {
    static func digest(_ byte: UInt8) throws -> Digest256 {
        try Secrets.digest([UInt8](repeating: byte, count: 32))
    }

    /// A container by digest with more fields.
    static func document(_ name: String, image: UInt8 = 1, _ fields: String = "") throws -> [UInt8] {
        let reference = "registry.example/app@sha256:\(try digest(image))"
        return Array(#"{"name": "\#(name)", "image": "\#(reference)"\#(fields.isEmpty ? "" : ", " + fields)}"#.utf8)
    }
}

extension TestCaller {
    /// Applies a document; an error reply is thrown as `Failure`.
    @discardableResult
    func apply(_ name: String, _ document: [UInt8]) async throws -> AppliedWorkload {
        let response = try await send(.put, "/v1/workloads/\(name)", body: document)
        guard response.status == .ok else { throw try Failure(response) }
        return try Wire.decode(AppliedWorkload.self, from: response.bytes)
    }

    /// The assignment of the node that calls.
    func assignment() async throws -> WorkloadAssignment {
        let response = try await send(.get, "/v1/node/workloads")
        guard response.status == .ok else { throw try Failure(response) }
        return try WorkloadAssignment.decoded(from: response.bytes)
    }
}
