public import Contract

/// An operating system and processor, in Go's words (OCI image specification, "image index").
public struct Platform: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The operating system, such as `linux`.
    public var os: String
    /// The processor, such as `amd64`.
    public var architecture: String
    /// The processor's variant, such as `v8`; nil where none is said.
    public var variant: String?

    /// Makes a platform.
    public init(os: String = "linux", architecture: String, variant: String? = nil) {
        self.os = os
        self.architecture = architecture
        self.variant = variant
    }

    /// Linux on one of Debian's architectures, whose names are Go's too.
    public init(_ architecture: Architecture) { self.init(architecture: architecture.rawValue) }

    /// What this program was compiled for.
    public static var current: Platform { Platform(.current) }

    /// `linux/arm64/v8`.
    public var description: String { ([os, architecture] + (variant.map { [$0] } ?? [])).joined(separator: "/") }

    /// How well an image for `offered` runs here; nil where it does not.
    ///
    /// Of `amd64`'s variants only `v1` runs on every machine; of `arm64`'s `v8` does, and is what no variant means.
    func fit(_ offered: Platform) -> Int? {
        guard offered.os == os, offered.architecture == architecture else { return nil }
        let usual = architecture == "arm64" ? "v8" : architecture == "amd64" ? "v1" : nil
        if offered.variant == variant { return 3 }
        if (offered.variant ?? usual) == (variant ?? usual) { return 2 }
        return offered.variant == nil || offered.variant == usual ? 1 : nil
    }
}

extension ImageIndex {
    /// The entry that runs on a platform best; of equal ones the first, as the specification wants.
    ///
    /// Entries for the platform `unknown`, such as build attestations, and entries of other types are passed over.
    public func select(_ platform: Platform) throws(ImageError) -> Descriptor {
        var best: (fit: Int, entry: Descriptor)?
        for entry in manifests {
            let isKnown = MediaType.manifests.contains(entry.mediaType) || MediaType.indexes.contains(entry.mediaType)
            guard isKnown, let offered = entry.platform, let fit = platform.fit(offered) else { continue }
            if fit > best?.fit ?? 0 { best = (fit, entry) }
        }
        if let best { return best.entry }
        // An index of one image without a platform, as layouts have it: the configuration is asked instead.
        let silent = manifests.filter { $0.platform == nil }
        if manifests.count == 1, let only = silent.first { return only }
        throw .noPlatform(wanted: platform, offered: manifests.compactMap(\.platform))
    }
}
