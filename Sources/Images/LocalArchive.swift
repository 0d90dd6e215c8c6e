internal import CArchive
internal import Contract
public import Fetch
internal import Linux

/// Images from an OCI image layout: a directory, or a tar archive of one that is not compressed, as `skopeo`, `podman`
/// and `docker buildx` write it (OCI image specification, "image layout"). For sites without a registry.
public final class LocalArchive: ImageSource {
    private let path: String
    /// Where each file of a tar archive has its header, and how large it is; nil for a directory.
    private let positions: [String: Position]?
    private let index: ImageIndex

    private struct Position {
        var headerOffset: UInt64
        var sizeBytes: UInt64
    }

    private struct Layout: Decodable { var imageLayoutVersion: String }
    static let entries = 65_536

    /// Opens a layout and reads its index.
    public init(_ path: String, limits: ImageLimits = .standard) throws {
        self.path = path
        guard let kind = Files.status(path)?.kind else { throw ImageError.notFound("the archive '\(path)'") }
        let positions = kind == .directory ? nil : try Self.scan(path, limits)
        self.positions = positions
        let layout = try Self.whole("oci-layout", path, positions, limitBytes: 4096)
        guard let version = try? Wire.decode(Layout.self, from: layout, limit: 4096).imageLayoutVersion,
            version == "1.0.0"
        else { throw ImageError.document("'\(path)' is no OCI image layout of version 1.0.0") }
        let bytes = try Self.whole("index.json", path, positions, limitBytes: limits.manifestBytes)
        guard case .index(let index) = try ImageDocument(parsing: bytes, mediaType: nil, limits: limits) else {
            throw ImageError.document("the index of '\(path)' is none")
        }
        self.index = index
    }

    /// The references or tags that the layout has names for, sorted.
    public var names: [String] {
        index.manifests.compactMap { $0.annotations[Self.nameKey] }.sorted()
    }

    /// The one image, whatever it is called.
    func onlyImage() throws -> Digest256 {
        guard let only = index.manifests.first, index.manifests.count == 1 else {
            throw ImageError.document(
                "the archive has \(index.manifests.count) images, and one alone can be meant; write it with that one, as "
                    + "'skopeo copy docker://… oci-archive:app.tar' does")
        }
        return only.digest
    }

    private static let nameKey = "org.opencontainers.image.ref.name"
    private static let containerdNameKey = "io.containerd.image.name"

    /// What a reference names here: by its digest, by its tag or whole text, or the only image where that has no name.
    public func find(
        _ reference: ImageReference, limitBytes: Int, cancellation: Cancellation? = nil
    ) throws -> FoundDocument {
        let missing = ImageError.notFound("'\(reference)' in '\(path)'")
        if let digest = reference.digest {
            let entry = index.manifests.first { $0.digest == digest }
            let bytes = try blobWhole(digest, missing, limitBytes)
            return FoundDocument(bytes: bytes, mediaType: entry?.mediaType)
        }
        let named = index.manifests.filter { matches($0, reference) }
        let nameless = index.manifests.filter {
            $0.annotations[Self.nameKey] == nil && $0.annotations[Self.containerdNameKey] == nil
        }
        let only = index.manifests.count == 1 ? nameless.first : nil
        guard let entry = named.first ?? only else { throw missing }
        return FoundDocument(bytes: try blobWhole(entry.digest, missing, limitBytes), mediaType: entry.mediaType)
    }

    private func matches(_ entry: Descriptor, _ reference: ImageReference) -> Bool {
        let full = [entry.annotations[Self.nameKey], entry.annotations[Self.containerdNameKey]]
        // A name with a slash or colon is a whole reference; others are tags.
        return full.contains { name in
            guard let name else { return false }
            if name.contains("/") || name.contains(":") {
                return (try? ImageReference(parsing: name)) == reference
            }
            return name == reference.tag
        }
    }

    /// The manifest or index that a descriptor names.
    public func document(
        _ descriptor: Descriptor, of reference: ImageReference, limitBytes: Int, cancellation: Cancellation? = nil
    ) throws -> FoundDocument {
        let missing = ImageError.notFound("sha256:\(descriptor.digest) in '\(path)'")
        return FoundDocument(
            bytes: try blobWhole(descriptor.digest, missing, limitBytes), mediaType: descriptor.mediaType)
    }

    private func blobWhole(_ digest: Digest256, _ missing: ImageError, _ limit: Int) throws -> [UInt8] {
        do {
            return try Self.whole("blobs/sha256/\(digest)", path, positions, limitBytes: limit)
        } catch ImageError.notFound {
            throw missing
        }
    }

    /// Gives a blob's bytes from an offset on.
    public func blob(
        _ descriptor: Descriptor, of reference: ImageReference, from offset: UInt64, cancellation: Cancellation? = nil,
        onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var skip = offset
        var left = descriptor.sizeBytes - min(offset, descriptor.sizeBytes)
        try Self.read("blobs/sha256/\(descriptor.digest)", path, positions) { piece in
            if cancellation?.isCancelled == true { throw FetchError.aborted }
            let unwanted = Int(min(skip, UInt64(piece.count)))
            skip -= UInt64(unwanted)
            let wanted = piece[unwanted...].prefix(Int(clamping: left))
            left -= UInt64(wanted.count)
            if !wanted.isEmpty { try onBytes(UnsafeRawBufferPointer(rebasing: wanted)) }
            return left > 0
        }
        guard left == 0 else {
            throw ImageError.document("sha256:\(descriptor.digest) in '\(path)' is shorter than its descriptor says")
        }
    }

    // MARK: - Files of the layout

    private static func whole(
        _ name: String, _ path: String, _ positions: [String: Position]?, limitBytes: Int
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try read(name, path, positions) { piece in
            guard bytes.count + piece.count <= limitBytes else {
                throw ImageError.tooLarge(what: "'\(name)' in '\(path)'", limitBytes: UInt64(limitBytes))
            }
            bytes += piece
            return true
        }
        return bytes
    }

    /// Gives a file's bytes piece by piece until there are no more or `body` says that it has enough.
    private static func read(
        _ name: String, _ path: String, _ positions: [String: Position]?,
        _ body: (UnsafeRawBufferPointer) throws -> Bool
    ) throws {
        guard let positions else { return try readFile(path + "/" + name, body) }
        guard let position = positions[name] else { throw ImageError.notFound("'\(name)' in '\(path)'") }
        try TarFile.read(path, at: position.headerOffset) { archive, _, _ in
            var left = position.sizeBytes
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
            defer { buffer.deallocate() }
            while left > 0 {
                let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
                try LibArchive.check(count, archive)
                guard count > 0 else { break }
                left -= min(left, UInt64(count))
                guard try body(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { break }
            }
            return false
        }
    }

    private static func readFile(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Bool) throws {
        let file: OwnedDescriptor
        do throws(SystemError) {
            // Not to wait for ever where somebody put a pipe there.
            file = try OwnedDescriptor(opening: path, [.read, .noFollow, .nonBlocking])
        } catch {
            guard error.isNotFound else { throw error }
            throw ImageError.notFound("'\(path)'")
        }
        guard try file.status().kind == .regular else { throw ImageError.document("'\(path)' is no ordinary file") }
        while true {
            let piece = try file.read(atMost: 128 << 10)
            guard !piece.isEmpty, try piece.withUnsafeBytes(body) else { return }
        }
    }

    /// Notes where each file lies. The headers are read once; bytes are passed over by seeking.
    private static func scan(_ path: String, _ limits: ImageLimits) throws -> [String: Position] {
        var found: [String: Position] = [:]
        var count = 0
        try TarFile.read(path, at: 0) { _, entry, offset in
            count += 1
            guard count <= entries else {
                throw ImageError.tooLarge(what: "the archive's list of files", limitBytes: 65_536)
            }
            guard archive_entry_filetype(entry) == apus_archive_regular, archive_entry_hardlink(entry) == nil,
                let name = archive_entry_pathname(entry),
                let clean = try? ImagePath(archived: Array(String(cString: name).utf8))
            else { return true }
            let key = String(decoding: clean.bytes, as: UTF8.self)
            guard found[key] == nil else { throw ImageError.document("'\(path)' has '\(clean)' twice") }
            found[key] = Position(headerOffset: offset, sizeBytes: UInt64(max(0, archive_entry_size(entry))))
            return true
        }
        return found
    }
}
