internal import Contract
public import Fetch
internal import Linux

/// What a pull is at.
public enum PullProgress: Sendable, Equatable {
    /// The reference was resolved: so many bytes in so many layers are wanted.
    case resolved(layers: Int, packedBytes: UInt64)
    /// So many bytes of a layer, counted from 1, are there.
    case layer(Int, arrivedBytes: UInt64, ofBytes: UInt64)
    /// All layers are there, and the file system is being made.
    case building
}

/// Pulls images into a store: the one way in which an image gets onto a node. Blocks its thread.
public struct ImagePuller {
    private let store: ImageStore
    private let builder: ImageBuilder
    private let platform: Platform
    private let pause: (Int, Cancellation?) throws -> Void

    /// Makes a puller.
    ///
    /// - Parameters:
    ///   - store: where images go.
    ///   - builder: how their file systems are made.
    ///   - platform: what they must run on.
    ///   - pause: waits a number of milliseconds between attempts.
    public init(
        store: ImageStore, builder: ImageBuilder = ImageBuilder(), platform: Platform = .current,
        pause: @escaping (Int, Cancellation?) throws -> Void = HTTPClient.pause
    ) {
        self.store = store
        self.builder = builder
        self.platform = platform
        self.pause = pause
    }

    /// Brings an image into the store, or finds it there, and marks it as used.
    ///
    /// With a digest for which the store has the finished image, nobody is asked: a node goes on without its registry.
    public func pull(
        _ reference: ImageReference, from source: any ImageSource, nowSeconds: Int64, cancellation: Cancellation? = nil,
        report: (PullProgress) -> Void = { _ in }
    ) throws -> StoredImage {
        if let image = try stored(reference) {
            try store.use(image, nowSeconds: nowSeconds)
            return image
        }
        let resolved = try ResolvedImage(
            reference, from: source, platform: platform, limits: builder.limits, cancellation: cancellation)
        if let image = store.image(resolved.digest, setID: builder.policy.setID, idOffset: builder.idOffset) {
            try store.use(image, nowSeconds: nowSeconds)
            return image
        }
        let layers = resolved.manifest.layers
        if let zip = resolved.manifest.zip, zip.sizeBytes > builder.zipLimits.packedBytes {
            throw ImageError.tooLarge(what: WebFile.Content.zip.words, limitBytes: builder.zipLimits.packedBytes)
        }
        report(.resolved(layers: layers.count, packedBytes: layers.reduce(0) { $0 + $1.sizeBytes }))
        for (number, layer) in layers.enumerated() {
            try LayerDownload(
                store: store, source: source, reference: resolved.reference, descriptor: layer,
                cancellation: cancellation, pause: pause
            ).run { report(.layer(number + 1, arrivedBytes: $0, ofBytes: layer.sizeBytes)) }
        }
        report(.building)
        return try forgetting(layers.map(\.digest)) {
            try store.build(resolved, with: builder, nowSeconds: nowSeconds)
        }
    }

    /// Brings a file from a plain address into the store, or finds it there, and marks it as used.
    ///
    /// - Parameter name: what the image is known by, its address and digest.
    public func pull(
        _ file: WebFile, named name: String, nowSeconds: Int64, cancellation: Cancellation? = nil
    ) throws -> StoredImage {
        if let image = store.image(file.digest, setID: builder.policy.setID, idOffset: builder.idOffset) {
            try store.use(image, nowSeconds: nowSeconds)
            return image
        }
        let descriptor = try file.descriptor(
            file.content == .zip ? builder.zipLimits : builder.limits, cancellation: cancellation)
        // It arrives as a layer does, from a source that is asked for nothing else.
        try LayerDownload(
            store: store, source: file,
            reference: try ImageReference(parsing: "file.invalid/file@sha256:\(file.digest)"),
            descriptor: descriptor, cancellation: cancellation, pause: pause
        ).run { _ in }
        return try forgetting([file.digest]) {
            guard file.content == .archive else {
                return try store.build(
                    descriptor, as: file.content, named: name, with: builder, nowSeconds: nowSeconds)
            }
            return try unpack(file.digest, named: name, nowSeconds, cancellation)
        }
    }

    /// Makes an image of an archive that has arrived whole. Its layers are taken out and verified as those of a registry.
    private func unpack(
        _ digest: Digest256, named name: String, _ nowSeconds: Int64, _ cancellation: Cancellation?
    ) throws -> StoredImage {
        let path = store.layerPath(digest)
        let source = try LocalArchive(path, limits: builder.limits)
        let reference = try ImageReference(parsing: "archive.invalid/image@sha256:\(try source.onlyImage())")
        let resolved = try ResolvedImage(
            reference, from: source, platform: platform, limits: builder.limits, cancellation: cancellation)
        guard resolved.config != nil else { throw ImageError.document("the archive holds no container's image") }
        for layer in resolved.manifest.layers {
            try LayerDownload(
                store: store, source: source, reference: resolved.reference, descriptor: layer,
                cancellation: cancellation, pause: pause
            ).run { _ in }
        }
        let image = try store.build(
            resolved.known(by: digest), named: name, with: builder, nowSeconds: nowSeconds)
        // The layers are beside it: it has done its work.
        try Files.remove(path)
        return image
    }

    /// Makes an image of layers; those of which it is found that they are not what they should be are fetched anew by
    /// the next pull: one went bad on the disk, or the image contradicts itself.
    private func forgetting(_ layers: [Digest256], _ build: () throws -> StoredImage) throws -> StoredImage {
        do {
            return try build()
        } catch let error as ImageError {
            if case .digestMismatch = error {
                for layer in layers { try? Files.remove(store.layerPath(layer)) }
            }
            throw error
        }
    }

    /// The finished image of a reference with a digest, its manifest's or its index's.
    private func stored(_ reference: ImageReference) throws -> StoredImage? {
        guard let digest = reference.digest else { return nil }
        if let image = store.image(digest, setID: builder.policy.setID, idOffset: builder.idOffset) { return image }
        return try store.images().first {
            $0.setID == builder.policy.setID && $0.idOffset == builder.idOffset
                && (try? ImageReference(parsing: $0.reference))?.digest == digest
        }
    }
}
