public import Contract
internal import Glibc

/// What every unified kernel image is made of: the folder that `initramfs/build.sh` fills.
public struct BaseArtifacts: Sendable, Equatable {
    /// The kernel.
    public var kernel: String
    /// The initramfs with `apus-init`.
    public var initrd: String
    /// systemd's EFI stub.
    public var stub: String
    /// The `os-release` that names the image.
    public var osRelease: String
    /// CPU microcode as an uncompressed archive, where the base was built with it.
    public var microcode: String?
    /// The kernel's release, as `uname -r` prints it.
    public var uname: String
    /// Kernel arguments that all images share.
    public var arguments: String

    /// Finds the parts in a folder.
    ///
    /// - Throws: naming the part that is missing.
    public init(directory: String, architecture: Architecture) throws(PackingError) {
        func part(_ name: String) throws(PackingError) -> String {
            let path = directory + "/" + name
            guard Files.exists(path) else {
                throw PackingError("'\(path)' is missing: make the base with initramfs/build.sh first")
            }
            return path
        }
        kernel = try part("vmlinuz")
        initrd = try part("initrd.zst")
        stub = try part(architecture == .amd64 ? "linuxx64.efi.stub" : "linuxaa64.efi.stub")
        osRelease = try part("os-release")
        microcode = Files.exists(directory + "/microcode.cpio") ? directory + "/microcode.cpio" : nil
        uname = try Files.text(try part("uname"))
        arguments = try Files.text(try part("arguments"))
    }
}

/// Programs that a build calls, by their paths.
public struct BuildTools: Sendable, Equatable {
    /// erofs-utils 1.8 or newer.
    public var mkfsErofs: String
    /// systemd's ukify, 257 or newer.
    public var ukify: String

    /// Names the programs.
    public init(mkfsErofs: String, ukify: String) {
        self.mkfsErofs = mkfsErofs
        self.ukify = ukify
    }

    /// The programs in a folder, such as `.out/tools`.
    public init(directory: String) {
        self.init(mkfsErofs: directory + "/mkfs.erofs", ukify: directory + "/ukify")
    }

    /// Refuses programs that are not there, before a build has done half of its work.
    func check() throws(PackingError) {
        for program in [mkfsErofs, ukify] where access(program, X_OK) != 0 {
            throw .system("cannot run '\(program)': scripts/sysroot.sh makes it, and --tools names its folder")
        }
    }
}

/// A key that signs images for UEFI Secure Boot; signing takes `sbsign` (Debian package `sbsigntool`).
public struct SecureBootKey: Sendable, Equatable {
    /// The private key in PEM.
    public var key: String
    /// Its certificate in PEM.
    public var certificate: String

    /// Names the two files.
    public init(key: String, certificate: String) {
        self.key = key
        self.certificate = certificate
    }
}
