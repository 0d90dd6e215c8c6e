public import Contract
public import Fetch
internal import Release

/// What a reference means for one platform: everything about an image but its layers' bytes.
public struct ResolvedImage: Sendable {
    /// The reference with the digest of what it named: what is kept once a tag was resolved.
    public let reference: ImageReference
    /// The digest of the manifest for the platform, or of the archive that the image came in.
    public private(set) var digest: Digest256
    /// The manifest.
    public let manifest: ImageManifest
    /// The configuration; nil for a machine's and a function's zip, which have none that says anything.
    public let config: ImageConfig?
    let configBytes: [UInt8]

    /// Asks a source what a reference means: index, manifest and configuration, each verified before it is parsed.
    ///
    /// - Parameters:
    ///   - reference: the reference.
    ///   - source: where to ask.
    ///   - platform: what the image must run on.
    ///   - limits: how large everything may be.
    ///   - cancellation: ends it from another thread.
    public init(
        _ reference: ImageReference, from source: any ImageSource, platform: Platform = .current,
        limits: ImageLimits = .standard, cancellation: Cancellation? = nil
    ) throws {
        let first = try source.find(reference, limitBytes: limits.manifestBytes, cancellation: cancellation)
        if let expected = reference.digest, first.digest != expected {
            throw ImageError.digestMismatch(what: "the manifest", expected: expected, found: first.digest)
        }
        let pinned = reference.pinned(to: first.digest)
        var found = first
        var document = try ImageDocument(parsing: first.bytes, mediaType: first.mediaType, limits: limits)
        var depth = 0
        while case .index(let index) = document {
            // Docker's tools put an index into a layout's index; nobody needs more.
            guard depth < 2 else { throw ImageError.document("its indexes are nested too deeply") }
            depth += 1
            let entry = try index.select(platform)
            guard entry.sizeBytes <= UInt64(limits.manifestBytes) else {
                throw ImageError.tooLarge(what: "the manifest", limitBytes: UInt64(limits.manifestBytes))
            }
            found = try source.document(
                entry, of: pinned, limitBytes: limits.manifestBytes, cancellation: cancellation)
            try Self.check(found, against: entry)
            document = try ImageDocument(parsing: found.bytes, mediaType: entry.mediaType, limits: limits)
        }
        guard case .manifest(let manifest) = document else { throw ImageError.document("it has no manifest") }
        self.reference = pinned
        digest = found.digest
        self.manifest = manifest
        configBytes = try Self.bytes(manifest.config, pinned, source, limits.configBytes, cancellation)
        guard manifest.parts == nil, manifest.zip == nil else {
            config = nil
            return
        }
        let said = try ImageConfig(parsing: configBytes, layers: manifest.layers.count, limits: limits)
        guard platform.fit(said.platform) != nil else {
            throw ImageError.noPlatform(wanted: platform, offered: [said.platform])
        }
        config = said
    }

    /// The same image, known by the archive that it came in: its digest says everything that the manifest's does.
    func known(by archive: Digest256) -> ResolvedImage {
        var image = self
        image.digest = archive
        return image
    }

    private static func check(_ found: FoundDocument, against entry: Descriptor) throws {
        guard found.digest == entry.digest else {
            throw ImageError.digestMismatch(what: "the manifest", expected: entry.digest, found: found.digest)
        }
        guard UInt64(found.bytes.count) == entry.sizeBytes else {
            throw ImageError.document(
                "its manifest has \(found.bytes.count) bytes, and its index says \(entry.sizeBytes)")
        }
    }

    /// A small blob as a whole, verified.
    private static func bytes(
        _ descriptor: Descriptor, _ reference: ImageReference, _ source: any ImageSource, _ limit: Int,
        _ cancellation: Cancellation?
    ) throws -> [UInt8] {
        var wrong: ImageError?
        for _ in 0..<3 {
            var bytes: [UInt8] = []
            do {
                try source.blob(descriptor, of: reference, from: 0, cancellation: cancellation) { piece in
                    guard bytes.count + piece.count <= limit else {
                        throw ImageError.tooLarge(what: "the configuration", limitBytes: UInt64(limit))
                    }
                    bytes += piece
                }
            } catch {
                throw wrong ?? error
            }
            let found = Digest256(hashing: bytes)
            if found == descriptor.digest { return bytes }
            wrong = .digestMismatch(what: "the configuration", expected: descriptor.digest, found: found)
            source.reject(descriptor)
        }
        throw wrong ?? ImageError.document("its configuration is missing")
    }
}
