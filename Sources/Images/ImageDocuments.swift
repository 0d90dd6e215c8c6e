public import Contract

/// The media types that are understood (OCI image specification, "media types"; Docker's image manifest version 2,
/// schema 2, is the same under other names).
public enum MediaType {
    /// An OCI manifest.
    public static let manifest = "application/vnd.oci.image.manifest.v1+json"
    /// An OCI index.
    public static let index = "application/vnd.oci.image.index.v1+json"
    /// An OCI image configuration.
    public static let config = "application/vnd.oci.image.config.v1+json"
    /// Docker's manifest.
    public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    /// Docker's index.
    public static let dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
    /// Docker's image configuration.
    public static let dockerConfig = "application/vnd.docker.container.image.v1+json"

    /// A zip (IANA's registry of media types), which a function's code is.
    public static let zip = "application/zip"

    static let manifests: Set<String> = [manifest, dockerManifest]
    static let indexes: Set<String> = [index, dockerIndex]
    static let configs: Set<String> = [config, dockerConfig]
    /// What a registry is asked for.
    static let accept = [manifest, index, dockerManifest, dockerIndex].joined(separator: ", ")
}

/// How a layer's archive is packed.
public enum LayerPacking: String, Sendable, Codable {
    /// Not at all.
    case plain
    /// gzip (RFC 1952).
    case gzip
    /// Zstandard (RFC 8878).
    case zstd

    /// The packing that a media type names; nil where it is no layer that can be unpacked here.
    public init?(mediaType: String) {
        switch mediaType {
        case "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.docker.image.rootfs.diff.tar":
            self = .plain
        case "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":
            self = .gzip
        case "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar.zstd":
            self = .zstd
        default: return nil
        }
    }
}

/// Names bytes by their digest and size (OCI image specification, "content descriptors").
public struct Descriptor: Hashable, Sendable {
    /// What the bytes are.
    public let mediaType: String
    /// Their SHA-256.
    public let digest: Digest256
    /// How many there are.
    public let sizeBytes: UInt64
    /// For which platform they are, where an index says so.
    public let platform: Platform?
    /// Notes, such as a layout's tag in `org.opencontainers.image.ref.name`.
    public let annotations: [String: String]

    /// Makes a descriptor.
    public init(
        mediaType: String, digest: Digest256, sizeBytes: UInt64, platform: Platform? = nil,
        annotations: [String: String] = [:]
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.sizeBytes = sizeBytes
        self.platform = platform
        self.annotations = annotations
    }
}

extension Descriptor: Decodable {
    private enum Key: String, CodingKey { case mediaType, digest, size, platform, annotations }

    /// Decodes a descriptor with a SHA-256 digest; embedded data and addresses of other places are not looked at.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Key.self)
        mediaType = try values.decode(String.self, forKey: .mediaType)
        let text = try values.decode(String.self, forKey: .digest)
        guard let digest = try? ImageReference.parseDigest(text) else {
            throw DecodingError.dataCorruptedError(
                forKey: .digest, in: values, debugDescription: "only sha256 digests are accepted")
        }
        self.digest = digest
        sizeBytes = try values.decode(UInt64.self, forKey: .size)
        platform = try values.decodeIfPresent(Platform.self, forKey: .platform)
        annotations = try values.decodeIfPresent([String: String].self, forKey: .annotations) ?? [:]
    }
}

/// An index: one image for several platforms (OCI image specification, "image index").
public struct ImageIndex: Sendable, Equatable {
    /// The manifests, and indexes within it.
    public let manifests: [Descriptor]
}

/// A manifest: an image's configuration and layers (OCI image specification, "image manifest").
public struct ImageManifest: Sendable, Equatable {
    /// The configuration.
    public let config: Descriptor
    /// The layers, the lowest first.
    public let layers: [Descriptor]

    /// How each layer is packed.
    public var packings: [LayerPacking] { layers.compactMap { LayerPacking(mediaType: $0.mediaType) } }

    /// A function's code, where it is the only layer; nil where it is an image for containers or machines.
    public var zip: Descriptor? { layers.count == 1 ? layers.first { $0.mediaType == MediaType.zip } : nil }
}

/// What a reference leads to.
public enum ImageDocument: Sendable, Equatable {
    /// An index.
    case index(ImageIndex)
    /// An image's manifest.
    case manifest(ImageManifest)

    private struct Raw: Decodable {
        var schemaVersion: Int
        var mediaType: String?
        var config: Descriptor?
        var layers: [Descriptor]?
        var manifests: [Descriptor]?
    }

    /// Parses bytes whose digest was verified before.
    ///
    /// - Parameters:
    ///   - bytes: the document.
    ///   - mediaType: what the registry or the descriptor says that it is; nil where nobody says.
    ///   - limits: bounds of the document, of the layers' number and of their sizes.
    public init(parsing bytes: [UInt8], mediaType: String?, limits: ImageLimits = .standard) throws(ImageError) {
        let raw: Raw
        do throws(WireError) {
            raw = try Wire.decode(Raw.self, from: bytes, limit: limits.manifestBytes)
        } catch {
            throw .document("its manifest: \(error)")
        }
        guard raw.schemaVersion == 2 else {
            throw .document("its manifest has schemaVersion \(raw.schemaVersion); only 2 is accepted")
        }
        // One document that is an index to one reader and a manifest to another is an attack (CVE-2021-41190).
        guard raw.manifests == nil || (raw.layers == nil && raw.config == nil) else {
            throw .document("it is a manifest and an index at once")
        }
        if let said = mediaType, let own = raw.mediaType, said != own {
            throw .document("it is given as '\(said)' and calls itself '\(own)'")
        }
        if let type = raw.mediaType ?? mediaType {
            let fits = raw.manifests != nil ? MediaType.indexes : MediaType.manifests
            guard fits.contains(type) else { throw .document("it is no image but '\(type)'") }
        }
        if let manifests = raw.manifests {
            guard manifests.count <= 256 else { throw .document("its index has more than 256 manifests") }
            self = .index(ImageIndex(manifests: manifests))
        } else if let config = raw.config, let layers = raw.layers {
            let manifest = ImageManifest(config: config, layers: layers)
            try manifest.check(limits)
            self = .manifest(manifest)
        } else {
            throw .document("it has neither 'config' and 'layers' nor 'manifests'")
        }
    }
}

extension ImageManifest {
    fileprivate func check(_ limits: ImageLimits) throws(ImageError) {
        if let parts {
            try checkParts(parts)
        } else if zip == nil, !MediaType.configs.contains(config.mediaType) {
            throw .document("it is no image: its configuration is '\(config.mediaType)'")
        }
        guard config.sizeBytes <= UInt64(limits.configBytes) else {
            throw .tooLarge(what: "the configuration", limitBytes: UInt64(limits.configBytes))
        }
        guard layers.count <= limits.layers else {
            throw .document("it has \(layers.count) layers, and \(limits.layers) are accepted")
        }
        var total: UInt64 = 0
        for layer in layers {
            guard parts != nil || zip != nil || LayerPacking(mediaType: layer.mediaType) != nil else {
                throw .document("a layer of the type '\(layer.mediaType)' cannot be unpacked here")
            }
            guard layer.sizeBytes > 0, layer.sizeBytes <= limits.packedBytes - total else {
                throw .tooLarge(what: "the layers together", limitBytes: limits.packedBytes)
            }
            total += layer.sizeBytes
        }
    }
}
