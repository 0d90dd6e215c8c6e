public import Contract
internal import Glibc
public import Release

/// Builds a whole release: file system, hash tree, unified kernel images, frames, manifest and signatures.
///
/// The same inputs give the same bytes (a Secure Boot signature with a time stamp in it excepted).
public struct ReleaseBuilder: Sendable {
    /// Where the root file system comes from.
    public var root: RootSource
    /// The boot artifact: its base and programs serve the slot's image too.
    public var boot: BootArtifactBuilder
    /// Who the release is.
    public var identity: ReleaseIdentity
    /// Keys that sign the manifest.
    public var signingKeys: [SigningKey]
    /// More kernel arguments of the slot's image.
    public var extraSlotArguments: [String] = []
    /// More initramfs segments of the slot's image: paths of archives.
    public var extraSlotSegments: [String] = []
    /// zstd's level, 1 to 22.
    public var level = 19
    /// Where compressed frames are kept for the next version; nil keeps none.
    public var cacheDirectory: String?
    /// The disk layout that it must fit.
    public var layout: DiskLayout = .standard
    /// What an image may weigh; nil does not care, as for one with firmware files.
    public var budget: ImageBudget? = .standard

    /// Names what every release needs.
    public init(
        root: RootSource, boot: BootArtifactBuilder, identity: ReleaseIdentity, signingKeys: [SigningKey]
    ) {
        self.root = root
        self.boot = boot
        self.identity = identity
        self.signingKeys = signingKeys
    }

    /// Names of the two images beside the release's files.
    public enum FileName {
        /// The slot's unified kernel image.
        public static let uki = "uki.efi"
        /// The boot artifact.
        public static let boot = "boot.efi"
    }

    /// Builds the release in the folder `output`, which appears only once it is whole and was checked.
    ///
    /// - Throws: a `PackingError` that names the step.
    public func build(output: String, progress: @escaping BuildProgress) async throws -> BuiltRelease {
        try identity.check()
        guard (1...22).contains(level) else { throw PackingError("zstd's level is 1 to 22, not \(level)") }
        guard !Files.exists(output) else {
            throw PackingError("'\(output)' exists already: remove it, or name another folder")
        }
        try boot.tools.check()
        try Files.makeParentDirectory(of: output)
        let work = try ScratchDirectory(beside: output)
        defer { work.remove() }
        let folder = work.path + "/release"
        try Files.makeDirectory(folder)
        let scratch = work.path
        let image = scratch + "/root.erofs"
        let uki = folder + "/" + FileName.uki
        let artifact = folder + "/" + FileName.boot
        let salt = RootImage.salt(product: identity.product)
        var steps = StepRunner(total: 7, progress: progress)

        try await steps.run("make the root file system") { _ in
            try RootImage.build(
                from: root, product: identity.product, mkfsErofs: boot.tools.mkfsErofs, output: image,
                scratch: scratch)
        }
        let tree = try await steps.run("build the hash tree") { report in
            try RootImage.tree(ofImage: image, salt: salt, report: report)
        }
        try await steps.run("make the slot's kernel image") { _ in
            try slotImage(scratch: scratch).build(
                arguments: slotArguments(tree), segments: extraSlotSegments, output: uki)
        }
        try await steps.run("make the boot artifact") { _ in
            try boot.build(output: artifact, scratch: scratch)
        }
        for note in try budget?.check([uki, artifact]) ?? [] { progress(.note(note)) }
        let packed = try await steps.run("compress and pack") { report in
            let packer = ReleasePacker(
                identity: identity, signingKeys: signingKeys, level: level, cacheDirectory: cacheDirectory)
            return try await packer.pack(
                root: image, tree: tree, uki: uki, boot: artifact, into: folder, report: report)
        }
        try await steps.run("check what was packed") { report in
            try packed.manifest.check(fits: layout)
            let keys = try signingKeys.map { try $0.releaseKey() }
            _ = try ReleaseChecker.check(directory: folder, keys: keys, threshold: 1, report: report)
        }
        try await steps.run("put the release into place") { _ in
            guard rename(folder, output) == 0 else { throw PackingError.system("cannot rename to '\(output)'") }
        }
        return try BuiltRelease(packed: packed, base: boot.base, directory: output)
    }

    private func slotImage(scratch: String) -> KernelImage {
        KernelImage(
            base: boot.base, ukify: boot.tools.ukify, secureBoot: boot.secureBoot, scratch: scratch,
            sourceDateSeconds: boot.sourceDateSeconds)
    }

    private func slotArguments(_ tree: VerityTree) -> [String] {
        [
            "apus.mode=slot", "apus.root=\(tree.rootHash)", "apus.salt=\(tree.salt.lowercaseHex)",
            "apus.blocks=\(tree.layout.dataBlocks)", "apus.version=\(identity.releaseVersion)",
        ] + extraSlotArguments
    }
}
