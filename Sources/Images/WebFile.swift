public import Contract
public import Fetch
internal import Linux

/// A file at a plain address, named by the SHA-256 of its bytes: what takes no registry.
///
/// The server is asked how large it is, which bounds the transfer, and believed in nothing else: the digest decides.
public final class WebFile: ImageSource {
    /// What a file is taken for.
    public enum Content: Sendable {
        /// A virtual machine's disk.
        case disk
        /// A function's zip.
        case zip
        /// A container's image, as a tar archive of an OCI image layout.
        case archive

        var mediaType: String {
            switch self {
            case .disk: MachinePart.anyDisk.rawValue
            case .zip: MediaType.zip
            // It stands in no manifest, and no registry knows it.
            case .archive: "application/x-tar"
            }
        }

        var words: String {
            switch self {
            case .disk: "the disk"
            case .zip: "the zip"
            case .archive: "the archive"
            }
        }
    }

    /// The digest of its bytes.
    public let digest: Digest256
    /// What it is taken for.
    public let content: Content
    private let start: WebAddress
    private let client: HTTPClient

    private static let redirects = 5

    /// Reads `https://…@sha256:…`; nil where a reference is none.
    public static func parse(_ reference: String) -> (address: String, digest: Digest256)? {
        guard reference.hasPrefix("https://"), let at = reference.lastIndex(of: "@") else { return nil }
        let name = reference[at...]
        guard name.hasPrefix("@sha256:"), let digest = Digest256(hex: name.dropFirst(8)) else { return nil }
        return (String(reference[..<at]), digest)
    }

    /// Makes a source.
    ///
    /// - Parameters:
    ///   - address: where the file is.
    ///   - digest: the SHA-256 of its bytes.
    ///   - content: what it is taken for.
    ///   - caCertificates: who may say that a server is the one meant, in PEM.
    ///   - allowsPlainHTTP: documents name `https` alone, tests do not.
    public init(
        address: String, digest: Digest256, content: Content, caCertificates: String, allowsPlainHTTP: Bool = false
    ) throws {
        guard let start = WebAddress(address), start.isSecure || allowsPlainHTTP else {
            throw ImageError.registry("'\(ImagePath.printable(address.utf8))' is not the address of a file")
        }
        self.digest = digest
        self.content = content
        self.start = start
        client = try HTTPClient(
            HTTPConfiguration(caCertificates: caCertificates, allowsPlainHTTP: allowsPlainHTTP))
    }

    /// The file with its size, as its server says it.
    func descriptor(_ limits: ImageLimits, cancellation: Cancellation?) throws -> Descriptor {
        try following { address in
            _ = try client.request("HEAD", address, limitBytes: 0, cancellation: cancellation)
        }
        guard let text = client.lastReply?.headers["content-length"], let bytes = UInt64(text), bytes > 0 else {
            throw ImageError.registry("'\(start.host)' does not say how large \(content.words) is")
        }
        guard bytes <= limits.packedBytes else {
            throw ImageError.tooLarge(what: content.words, limitBytes: limits.packedBytes)
        }
        return Descriptor(mediaType: content.mediaType, digest: digest, sizeBytes: bytes)
    }

    /// The bytes from an offset on.
    public func blob(
        _ descriptor: Descriptor, of reference: ImageReference, from offset: UInt64, cancellation: Cancellation?,
        onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try following { address in
            try client.download(
                address, range: offset == 0 ? nil : offset..<descriptor.sizeBytes,
                limitBytes: descriptor.sizeBytes - offset, cancellation: cancellation, onBytes: onBytes)
        }
    }

    /// A plain address has no documents.
    public func find(_ reference: ImageReference, limitBytes: Int, cancellation: Cancellation?) throws -> FoundDocument
    {
        throw ImageError.notFound("the manifest")
    }

    /// A plain address has no documents.
    public func document(
        _ descriptor: Descriptor, of reference: ImageReference, limitBytes: Int, cancellation: Cancellation?
    ) throws -> FoundDocument {
        throw ImageError.notFound("the manifest")
    }

    /// Goes where it is sent on to; never from TLS to none.
    private func following(_ send: (String) throws -> Void) throws {
        var address = start
        for _ in 0...Self.redirects {
            do {
                return try send(address.text)
            } catch FetchError.status(let status, let error) {
                guard [301, 302, 303, 307, 308].contains(status) else {
                    if status == 404 { throw ImageError.notFound(content.words) }
                    throw ImageError.transfer(FetchError.status(status, error))
                }
                guard let location = client.lastReply?.headers["location"], let next = address.following(location)
                else { throw ImageError.registry("it redirects to what is no address, or from https to http") }
                address = next
            } catch let error as FetchError {
                throw ImageError.transfer(error)
            }
        }
        throw ImageError.registry("it redirects more than \(Self.redirects) times")
    }
}
