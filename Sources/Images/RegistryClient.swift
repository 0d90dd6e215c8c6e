internal import Contract
public import Fetch

/// Pulls from registries (OCI distribution specification 1.1, "Pull"). Blocks its thread and belongs to it.
///
/// Redirects are followed a few steps; only the registry's own server ever sees an `Authorization`.
public final class RegistryClient: ImageSource {
    private let book: RegistryBook
    private var sessions: [String: RegistrySession] = [:]
    /// Which endpoint gave a blob last, and which have given a wrong one.
    private var lastAddress: String?
    private var rejected: [Digest256: Set<String>] = [:]

    /// Makes a client of the registries in a book.
    public init(_ book: RegistryBook) { self.book = book }

    /// The manifest or index that a reference names.
    public func find(
        _ reference: ImageReference, limitBytes: Int, cancellation: Cancellation? = nil
    ) throws -> FoundDocument {
        let name = reference.digest.map { "sha256:\($0)" } ?? reference.tag ?? "latest"
        return try manifest(name, reference.digest, reference, limitBytes, cancellation)
    }

    /// The manifest or index that a descriptor names.
    public func document(
        _ descriptor: Descriptor, of reference: ImageReference, limitBytes: Int, cancellation: Cancellation? = nil
    ) throws -> FoundDocument {
        try manifest("sha256:\(descriptor.digest)", descriptor.digest, reference, limitBytes, cancellation)
    }

    private func manifest(
        _ name: String, _ expected: Digest256?, _ reference: ImageReference, _ limitBytes: Int,
        _ cancellation: Cancellation?
    ) throws -> FoundDocument {
        try asking(reference) { session in
            let response = try session.get(
                "manifests/" + name, headers: [HTTPHeader("Accept", MediaType.accept)], what: "'\(reference)'",
                cancellation: cancellation, limitBytes: limitBytes)
            let type = response.headers["content-type"]?.prefix { $0 != ";" && $0 != " " }
            let found = FoundDocument(bytes: response.body, mediaType: type.map(String.init))
            if let expected, found.digest != expected {
                throw ImageError.digestMismatch(what: "the manifest", expected: expected, found: found.digest)
            }
            return found
        }
    }

    /// Gives a blob's bytes from an offset on, from the first endpoint that has it.
    public func blob(
        _ descriptor: Descriptor, of reference: ImageReference, from offset: UInt64, cancellation: Cancellation? = nil,
        onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard offset < descriptor.sizeBytes else { return }
        var begun = false
        try asking(reference, skipping: rejected[descriptor.digest] ?? [], mayGoOn: { !begun }) { session in
            try session.download(
                "blobs/sha256:\(descriptor.digest)", range: offset..<descriptor.sizeBytes,
                what: "sha256:\(descriptor.digest) of '\(reference)'", cancellation: cancellation
            ) { bytes in
                begun = true
                try onBytes(bytes)
            }
        }
    }

    /// Does not ask the endpoint again that gave wrong bytes for this blob.
    public func reject(_ descriptor: Descriptor) {
        guard let lastAddress else { return }
        if rejected.count >= 256 { rejected = [:] }
        rejected[descriptor.digest, default: []].insert(lastAddress)
    }

    /// Asks each endpoint in turn, and throws what the last one said. Once bytes were given the next cannot be asked:
    /// the caller knows where to go on, and asks again.
    private func asking<Result>(
        _ reference: ImageReference, skipping: Set<String> = [], mayGoOn: () -> Bool = { true },
        _ body: (RegistrySession) throws -> Result
    ) throws -> Result {
        var failure: any Error = ImageError.denied("'\(reference.registry)', for which no server is listed,")
        for (endpoint, isMirror) in try book.access(to: reference.registry).endpoints {
            guard !skipping.contains(endpoint.address) else {
                failure = ImageError.registry("every server of '\(reference.registry)' gave wrong bytes")
                continue
            }
            do {
                lastAddress = endpoint.address
                return try body(try session(endpoint, isMirror, reference))
            } catch let error where mayGoOn() && RegistryClient.nextMayHelp(error) {
                failure = error
            }
        }
        throw failure
    }

    private static func nextMayHelp(_ error: any Error) -> Bool {
        switch error {
        case let error as ImageError:
            switch error {
            case .reference, .store, .diskFull, .layer, .tool: return false
            case .transfer(let error): return error != .aborted
            default: return true
            }
        default: return false
        }
    }

    private func session(
        _ endpoint: RegistryEndpoint, _ isMirror: Bool, _ reference: ImageReference
    ) throws -> RegistrySession {
        let key = "\(endpoint.address) \(isMirror) \(reference.registry)/\(reference.repository)"
        if let session = sessions[key] { return session }
        // Sessions hold connections; a client that outlives many images forgets the old ones.
        if sessions.count >= 8 { sessions = [:] }
        let session = try RegistrySession(endpoint, isMirror: isMirror, reference: reference)
        sessions[key] = session
        return session
    }
}
