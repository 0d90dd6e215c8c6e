public import Contract
public import Workloads

/// Finds out what a tag names, so that documents are kept with digests.
public protocol TagResolver: Sendable {
    /// The digest of the manifest or index that the image's tag names now.
    ///
    /// - Parameter account: what operators said of the image's registry; nil where they said nothing.
    func digest(of image: WorkloadImage, account: RegistryAccount?) async throws(TagProblem) -> Digest256
}

/// Why a tag could not be resolved: a sentence without credentials.
public struct TagProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String
    /// Whether the same may succeed later without anybody doing something about it.
    public var isTransient: Bool

    /// Makes a problem from its sentence.
    public init(_ description: String, isTransient: Bool) {
        self.description = description
        self.isTransient = isTransient
    }
}

/// Resolves nothing, for servers that reach no registry.
struct NoTagResolver: TagResolver {
    func digest(of image: WorkloadImage, account: RegistryAccount?) async throws(TagProblem) -> Digest256 {
        throw TagProblem("this server asks no registries; name the image by digest", isTransient: false)
    }
}
