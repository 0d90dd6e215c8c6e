public import ArgumentParser
public import Contract
import Foundation
import Operator
import Packing
import Release

/// What every image is built from.
struct BuildOptions: ParsableArguments {
    @Option(help: "The folder with kernel, initramfs and stub, as initramfs/build.sh makes it.", completion: .directory)
    var base = ".out/base"

    @Option(help: "The folder with mkfs.erofs and ukify.", completion: .directory)
    var tools = ".out/tools"

    @Option(help: "The architecture: amd64 or arm64; this machine's without it.")
    var architecture: Architecture = .current

    @Option(help: "A kernel in place of the base's.", completion: .file())
    var kernel: String?

    @Option(help: "An initramfs in place of the base's.", completion: .file())
    var initrd: String?

    @Option(help: "An EFI stub in place of the base's.", completion: .file())
    var stub: String?

    @Option(
        help: "What the site's machines trust: a file with what 'apus release trust' and the server's /v1/trust say.",
        completion: .file())
    var site: String?

    @Option(help: "A private key in PEM that signs for UEFI Secure Boot.", completion: .file())
    var secureBootKey: String?

    @Option(help: "The certificate of --secure-boot-key in PEM.", completion: .file())
    var secureBootCertificate: String?

    @Flag(help: "Allow images above the budget, as with firmware files.")
    var anySize = false

    /// The builder of the boot artifact, whose parts serve the slot's image too.
    func builder() throws -> BootArtifactBuilder {
        // A base of another architecture is only pretended where a test asks for a foreign manifest.
        var parts = try BaseArtifacts(directory: base, architecture: .current)
        if let kernel { parts.kernel = kernel }
        if let initrd { parts.initrd = initrd }
        if let stub { parts.stub = stub }
        return BootArtifactBuilder(
            base: parts, tools: BuildTools(directory: tools), trust: try trust(), secureBoot: try secureBoot(),
            sourceDateSeconds: Self.sourceDateSeconds)
    }

    var budget: ImageBudget? { anySize ? nil : .standard }

    private func trust() throws -> SiteTrust {
        guard let site else {
            return SiteTrust(
                endpoint: nil, caCertificate: nil, releaseKeys: [], threshold: 1, token: nil, network: nil,
                clockFloorSeconds: Self.sourceDateSeconds)
        }
        return try readTrust(site)
    }

    func validate() throws {
        guard (secureBootKey == nil) == (secureBootCertificate == nil) else {
            throw ValidationError("--secure-boot-key and --secure-boot-certificate belong together: give both")
        }
    }

    private func secureBoot() throws -> SecureBootKey? {
        guard let key = secureBootKey, let certificate = secureBootCertificate else { return nil }
        for path in [key, certificate] { _ = try read(path, limit: 64 << 10) }
        return SecureBootKey(key: key, certificate: certificate)
    }

    /// `SOURCE_DATE_EPOCH` (reproducible-builds.org), or 1 January 2025, so that equal inputs give equal bytes.
    static var sourceDateSeconds: Int64 {
        ProcessInfo.processInfo.environment["SOURCE_DATE_EPOCH"].flatMap { Int64($0) } ?? 1_735_689_600
    }
}

extension Architecture: ExpressibleByArgument {}

struct ReleaseBuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Builds a release from any root file system that has systemd.")

    @Option(help: "The root file system: a tar archive that is not compressed, or a folder.", completion: .file())
    var root: String

    @Option(help: "The release's version: letters, digits and . _ + ~ -")
    var version: String

    @Option(help: "The product line; releases of one line share most of their bytes.")
    var product = "apus-os"

    @Option(
        help: "The key that signs; made on first use, with its public half beside it as KEY.pub.", completion: .file())
    var key: String?

    @Option(help: "The folder to make; .out/releases/VERSION without it.", completion: .directory)
    var output: String?

    @Option(
        help: "A folder whose files are laid over a root given as a tar archive; may be repeated.",
        completion: .directory)
    var overlay: [String] = []

    @Option(name: .customLong("slot-initrd"), help: "One more initramfs segment for the slot's image; may be repeated.")
    var slotSegments: [String] = []

    @Option(name: .customLong("argument"), help: "One more kernel argument for the slot's image; may be repeated.")
    var slotArguments: [String] = []

    @Option(help: "The epoch: nodes never go to a lower one.")
    var epoch: Int64 = 0

    @Option(
        help: """
            The metadata's own version, as The Update Framework counts it: higher for each document that is signed. \
            Without it, it follows from --version: 1.2.3 gives 1000002000003. Give a higher one to sign a version anew.
            """)
    var metadataVersion: Int64?

    @Option(help: "How many days the release may be installed, counted from SOURCE_DATE_EPOCH or 1 January 2025.")
    var expiresDays: Int64 = 3650

    @Option(help: "zstd's level, 1 to 22.")
    var level = 19

    @Option(help: "The folder that keeps compressed frames for the next build.", completion: .directory)
    var cache = ".out/frames"

    @Flag(help: "Print nothing but the result.")
    var quiet = false

    @OptionGroup var parts: BuildOptions
    @OptionGroup var show: OutputOptions

    func validate() throws {
        guard (1...1_000_000).contains(expiresDays) else {
            throw ValidationError("--expires-days is a number from 1 to 1000000")
        }
        guard (1...22).contains(level) else { throw ValidationError("--level is zstd's, a number from 1 to 22") }
        do {
            try identity.check()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() async throws {
        try await reporting {
            let progress = ProgressLine(isQuiet: quiet || show.json)
            defer { progress.end() }
            let target = output ?? ".out/releases/\(version)"
            let given = try source(root)
            let scratch = try overlay.isEmpty ? nil : Overlaid(root: root, overlays: overlay, beside: target)
            defer { scratch?.remove() }
            let boot = try parts.builder()
            if boot.trust.token != nil {
                note("the site file has a join token, and releases are no secret: leave it out, nodes keep their key")
            }
            let keyPath = try key ?? Self.usualKeyPath()
            var builder = ReleaseBuilder(
                root: scratch.map { .tar($0.path) } ?? given, boot: boot, identity: identity,
                signingKeys: [.ed25519(try KeyFile.loadOrCreate(keyPath))])
            builder.extraSlotSegments = slotSegments
            builder.extraSlotArguments = slotArguments
            builder.level = level
            builder.cacheDirectory = cache
            builder.budget = parts.budget
            let built = try await builder.build(output: target) { progress.take($0) }
            progress.end()
            try show.show(Summary(built)) {
                quiet
                    ? built.manifest.name.description
                    : built.sizes.table + "\n\nrelease \(version) is in '\(target)', signed with '\(keyPath)'\n"
                        + "name \(built.manifest.name)\npublish it with 'apus release publish \(target)'"
            }
        }
    }

    private var identity: ReleaseIdentity {
        ReleaseIdentity(
            product: product, releaseVersion: version, version: metadataVersion, epoch: epoch,
            architecture: parts.architecture,
            expiresSeconds: max(BuildOptions.sourceDateSeconds, 1_735_689_600) + expiresDays * 86400)
    }

    private func source(_ path: String) throws -> RootSource {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw Failure("there is no root file system '\(path)'; 'make os' makes the reference one")
        }
        return isFolder.boolValue ? .directory(path) : .tar(path)
    }

    /// Where the key lies unless told otherwise.
    static func usualKeyPath() throws -> String {
        let folder = NSHomeDirectory() + "/.config/apus"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return folder + "/release.key"
    }

    private struct Summary: Encodable {
        var name: String
        var version: String
        var directory: String
        var packBytes: UInt64

        init(_ built: BuiltRelease) {
            name = built.manifest.name.description
            version = built.manifest.releaseVersion
            directory = built.directory
            packBytes = built.manifest.packBytes
        }
    }
}

/// A root archive with folders laid over it, in a file of its own that is removed afterwards.
struct Overlaid {
    let path: String

    init(root: String, overlays: [String], beside output: String) throws {
        var isFolder: ObjCBool = false
        guard !FileManager.default.fileExists(atPath: root, isDirectory: &isFolder) || !isFolder.boolValue else {
            throw Failure("--overlay lays files over a tar archive, and '\(root)' is a folder: copy them into it")
        }
        path = output + ".root-\(getpid()).tar"
        let parent = URL(fileURLWithPath: output).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        do {
            try Self.run(["cp", "--reflink=auto", root, path])
            for overlay in overlays { try Self.append(overlay, to: path) }
        } catch {
            remove()
            throw error
        }
    }

    /// Later entries win; owners and times are fixed, so that equal overlays give equal releases.
    private static func append(_ overlay: String, to path: String) throws {
        let options = [
            "--append", "--file", path, "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1735689600",
            "--sort=name", "--directory", overlay, "--",
        ]
        try run(["tar"] + options + parts(of: overlay))
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// What lies in an overlay, without the folder itself, whose mode is not the root's.
    ///
    /// A folder that stands where a merged-/usr system has a link would replace the link and all that is behind it.
    private static func parts(of overlay: String) throws -> [String] {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: overlay).sorted() else {
            throw Failure("cannot read the overlay '\(overlay)': is it a folder, and may you read it?")
        }
        for name in names where name == "bin" || name == "sbin" || name.hasPrefix("lib") {
            throw Failure("'\(overlay)/\(name)' would replace the root's link to usr/\(name): move it there")
        }
        guard !names.isEmpty else { throw Failure("the overlay '\(overlay)' is empty") }
        return names
    }

    private static func run(_ command: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure("'\(command.joined(separator: " "))' failed with code \(process.terminationStatus)")
        }
    }
}

struct ReleaseCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Reads a built release back as a node would, and checks every byte.")
    @Argument(help: "The folder that 'apus release build' made.", completion: .directory)
    var directory: String
    @Option(help: "The public key that must have signed.", completion: .file())
    var key: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let trusted = try readKey(key)
            let progress = ProgressLine(isQuiet: output.json)
            let manifest = try ReleaseChecker.check(directory: directory, keys: [trusted], threshold: 1) {
                progress.show("check", $0, $1)
            }
            progress.end()
            try output.show(["name": manifest.name.description]) {
                "release \(manifest.releaseVersion) is whole: \(manifest.name)"
            }
        }
    }
}

struct BootArtifactCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "boot-artifact", abstract: "Builds the image that machines start from the network or a stick.",
        discussion: """
            With --site it is built for that site; with --upload and no --site, for the server's own, as 'apus site' \
            shows it. With neither it believes nobody, and takes all from the apus.json of the stick that it is on.
            """)
    @Option(help: "The file to make.", completion: .file())
    var output = ".out/apus-boot.efi"
    @Option(help: "Put the endpoint on the signed kernel command line.")
    var endpoint: String?
    @Option(name: .customLong("argument"), help: "One more kernel argument; may be repeated.")
    var arguments: [String] = []
    @Flag(help: "Also give it to the server, which then serves it.")
    var upload = false
    @OptionGroup var parts: BuildOptions
    @OptionGroup var connection: Connection
    @OptionGroup var show: OutputOptions

    func run() throws {
        try reporting {
            let api = upload ? try connection.open() : nil
            var builder = try parts.builder()
            if parts.site == nil, let api { builder.trust = try api.trust() }
            builder.endpoint = endpoint
            builder.extraArguments = arguments
            try builder.build(output: output)
            let notes = try parts.budget?.check([output]) ?? []
            let progress = ProgressLine(isQuiet: show.json)
            defer { progress.end() }
            try api?.putBootArtifact(path: output, architecture: parts.architecture) {
                progress.show("upload the boot artifact", $0, $1)
            }
            progress.end()
            try show.show(["path": output]) { (["the boot artifact is '\(output)'"] + notes).joined(separator: "\n") }
        }
    }
}

/// Reads a file that says what a site trusts.
func readTrust(_ path: String) throws -> SiteTrust {
    do {
        return try Wire.decode(SiteTrust.self, from: try read(path, limit: WireLimit.message))
    } catch let error as WireError {
        throw Failure("'\(path)' does not say what a site trusts: \(error)")
    }
}
