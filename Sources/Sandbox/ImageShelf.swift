internal import Contract
internal import Cryptography
public import Images
internal import Linux
internal import Workloads

/// Reads an image store without holding it: the program that fetches images, a process of its own, holds it.
///
/// What has its final name in a store is whole, so that reading needs no lock.
struct ImageShelf: Sendable {
    /// The store's directory.
    let path: String

    /// An image on the shelf.
    struct Entry: Sendable {
        var image: StoredImage
        /// Its directory.
        var folder: String
    }

    /// All whole images of workloads, by manifest.
    func entries() -> [Digest256: Entry] {
        guard let names = try? Files.list(path + "/images", limit: 8192) else { return [:] }
        var found: [Digest256: Entry] = [:]
        for name in names {
            let folder = path + "/images/" + name
            guard let bytes = try? Files.read(folder + "/image.json", limitBytes: 64 << 10),
                let image = try? Wire.decode(StoredImage.self, from: bytes), image.format == wireFormat,
                name == "\(image.digest)-strip-0", image.idOffset == 0, image.setID == .strip,
                isFile(folder + "/root.erofs", bytes: image.blocks * 4096), isFile(folder + "/root.verity", bytes: nil)
            else { continue }
            for digest in [image.digest, (try? ImageReference(parsing: image.reference))?.digest].compactMap(\.self) {
                found[digest] = Entry(image: image, folder: folder)
            }
        }
        return found
    }

    /// The fetching program is not trusted: no link leads the node's own programs elsewhere.
    private func isFile(_ path: String, bytes: UInt64?) -> Bool {
        guard let status = Files.status(path, followSymbolicLinks: false), case .regular = status.kind else {
            return false
        }
        return bytes.map { $0 == status.sizeBytes } ?? true
    }

    /// How an image wants to be run.
    func config(of entry: Entry) throws -> ImageConfig {
        let bytes = try Files.read(entry.folder + "/config.json", limitBytes: ImageLimits.standard.configBytes)
        guard SHA256.digest(bytes) == entry.image.config.bytes else {
            throw SandboxError("the stored configuration of the image \(entry.image.digest) is not what was fetched")
        }
        return try ImageConfig(parsing: bytes, layers: entry.image.layers.count)
    }
}

/// Makes an image's files visible at a directory, verified when they are read. Each use is a device and a file system of
/// its own.
public protocol ImageMounter: Sendable {
    /// Mounts.
    ///
    /// - Parameters:
    ///   - image: the image.
    ///   - folder: the directory of its files.
    ///   - target: where; made where it is missing.
    ///   - use: names this use, at most 32 plain characters.
    func mount(_ image: StoredImage, folder: String, on target: String, use: String) throws

    /// Unmounts, and takes the device away; what is not there is fine.
    func unmount(_ target: String, use: String) throws
}

/// An image through loop devices, dm-verity and erofs.
public struct VerityImages: ImageMounter {
    /// Makes it.
    public init() {}

    private func device(_ use: String) -> String { "apus-w-" + use }

    /// Opens the image through dm-verity and mounts it read-only.
    public func mount(_ image: StoredImage, folder: String, on target: String, use: String) throws {
        try unmount(target, use: use)
        // The devices stay for as long as the verity device has them open, and go with it.
        let data = try LoopDevice(image: folder + "/root.erofs")
        let tree = try LoopDevice(image: folder + "/root.verity")
        let path = try DeviceMapper.create(
            image.verity(named: device(use), dataDevice: data.path, treeDevice: tree.path))
        do {
            try Mounts.mount(path, on: target, type: "erofs", flags: [.readOnly, .noDevices, .noSetUID])
        } catch {
            try? DeviceMapper.remove(device(use))
            throw error
        }
    }

    /// Unmounts it and removes its verity device.
    public func unmount(_ target: String, use: String) throws {
        if Mounts.isMounted(target) { try Mounts.unmount(target) }
        try DeviceMapper.remove(device(use))
    }
}
