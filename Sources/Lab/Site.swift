import Contract
import FoundationEssentials
import Operator
import Release

/// A release that was built: its name and the folder with its three files.
struct BuiltRelease: Equatable, Sendable {
    /// The SHA-256 of its manifest.
    var name: Digest256
    /// Where its files are.
    var directory: String
}

/// What all scenarios share and none changes: the server's authority and first state, the signing key, the releases.
struct Site {
    private let paths: LabPaths
    private let networkKind: Network.Kind

    /// The site of a lab.
    init(paths: LabPaths, networkKind: Network.Kind) {
        self.paths = paths
        self.networkKind = networkKind
    }

    private var directory: String { paths.base + "/site" }
    private var lockPath: String { paths.base + "/lock" }
    private var keyPath: String { directory + "/release.key" }
    private var trustPath: String { directory + "/trust.json" }
    private var fingerprintPath: String { directory + "/fingerprint" }
    /// The server's data folder before any node was known.
    var serverDirectory: String { directory + "/server" }

    /// The artifact that the network serves; the one without a token waits for a person.
    func bootArtifact(withToken: Bool) -> String {
        directory + (withToken ? "/apus-boot.efi" : "/apus-boot-without-token.efi")
    }

    /// Names what the site was made from: anything else there means that it must be made anew.
    func fingerprint() throws -> String {
        let inputs = [
            paths.rootArchive, paths.out + "/base/vmlinuz", paths.out + "/base/initrd.zst",
            paths.out + "/base/linuxx64.efi.stub",
        ]
        let listing = try ChildProcess.check(["sha256sum", "--"] + inputs)
        let digests = listing.split(separator: "\n").map { $0.prefix(64) }
        return (["lab 2"] + digests).joined(separator: "\n")
    }

    /// Whether the site is there and was made from what there is now.
    func isCurrent() throws -> Bool { (try? Files.read(fingerprintPath)) == (try fingerprint()) }

    /// Makes what is missing or out of date.
    func prepare(say: (String) -> Void) throws {
        try Files.withLock(lockPath) {
            let wanted = try fingerprint()
            if (try? Files.read(fingerprintPath)) == wanted { return }
            try Files.remove(directory)
            try Files.makeFolder(directory)
            let server = Server(
                program: paths.apusd, dataDirectory: serverDirectory, logPath: directory + "/apusd.log",
                network: networkKind)
            try server.start()
            defer { server.stop() }
            try fill(server: server, say: say)
            server.stop()
            try Files.write(wanted, to: fingerprintPath)
        }
    }

    private func fill(server: Server, say: (String) -> Void) throws {
        let api = try server.api()
        try ChildProcess.check([paths.apus, "release", "key", keyPath])
        let key = try Wire.decode(ReleaseKey.self, from: Array(try Files.read(keyPath + ".pub").utf8))
        try api.trust(key)
        var trust = try api.trust()
        trust.endpoint = Server.endpoint
        try writeTrust(trust, to: trustPath)
        let first = try buildLocked(.first, say: say)
        try api.publish(directory: first.directory, name: first.name)
        try api.makeDefault(first.name)

        try buildBootArtifact(trust: trustPath, to: bootArtifact(withToken: false))
        let token = try api.createToken(
            TokenRequest(note: "lab", uses: 1000, lifetimeSeconds: 300 * 86400, labels: ["made-by": "lab"]))
        trust.token = token.secret
        let secretTrustPath = directory + "/trust-with-token.json"
        try writeTrust(trust, to: secretTrustPath)
        try buildBootArtifact(trust: secretTrustPath, to: bootArtifact(withToken: true))
        try api.putBootArtifact(path: bootArtifact(withToken: true))
    }

    private func writeTrust(_ trust: SiteTrust, to path: String) throws {
        try Files.write(String(decoding: try Wire.encode(trust), as: UTF8.self), to: path, mode: 0o600)
    }

    private func buildBootArtifact(trust: String, to path: String) throws {
        try ChildProcess.check([
            paths.apus, "boot-artifact", "--base", paths.out + "/base", "--tools", paths.out + "/tools", "--site",
            trust, "--output", path,
        ])
    }

    /// A USB stick's image with an `apus.json` of its own.
    func buildStick(trust change: (inout SiteTrust) -> Void, to path: String) throws {
        let bytes = Array(try Files.read(directory + "/trust-with-token.json").utf8)
        var trust = try Wire.decode(SiteTrust.self, from: bytes)
        change(&trust)
        let json = path + ".json"
        try writeTrust(trust, to: json)
        let plain = path + ".efi"
        // This artifact knows nothing of the site: all that it is told stands in the stick's apus.json.
        try ChildProcess.check([
            paths.apus, "boot-artifact", "--base", paths.out + "/base", "--tools", paths.out + "/tools", "--output",
            plain,
        ])
        try ChildProcess.check([
            paths.apus, "usb-image", "--boot-artifact", plain, "--site", json, "--output", path,
        ])
    }

    /// Builds a release where it is not built yet.
    func build(_ release: LabRelease, say: (String) -> Void) throws -> BuiltRelease {
        try Files.withLock(lockPath) { try buildLocked(release, say: say) }
    }

    private func buildLocked(_ release: LabRelease, say: (String) -> Void) throws -> BuiltRelease {
        let target = directory + "/releases/" + release.version
        if let name = try? builtName(target) { return BuiltRelease(name: name, directory: target) }
        say("  building release \(release.version): \(release.summary)")
        try Files.remove(target)
        try Files.makeFolder(directory + "/releases")
        let work = target + ".work"
        try Files.remove(work)
        try Files.makeFolder(work)
        defer { try? Files.remove(work) }
        var command = [
            paths.apus, "release", "build", "--root", try root(of: release), "--version", release.version, "--base",
            paths.out + "/base", "--tools", paths.out + "/tools", "--key", keyPath, "--site", trustPath, "--output",
            target, "--cache", paths.base + "/frames", "--level", "3", "--quiet",
        ]
        let overlay = release.overlay
        if !overlay.isEmpty {
            try overlay.write(to: work + "/overlay")
            command += ["--overlay", work + "/overlay"]
        }
        if let segment = release.slotSegment {
            try Data(segment.archive).write(to: URL(fileURLWithPath: work + "/segment.cpio"))
            command += ["--slot-initrd", work + "/segment.cpio"]
        }
        if let architecture = release.architecture { command += ["--architecture", architecture.rawValue] }
        try ChildProcess.check(command)
        return BuiltRelease(name: try builtName(target), directory: target)
    }

    /// The root that a release is made of: with packages of its own it is another one than that of all others.
    private func root(of release: LabRelease) throws -> String {
        guard !release.packages.isEmpty else { return paths.rootArchive }
        let path = "\(directory)/root-\(release.version).tar"
        try ChildProcess.check([
            paths.project + "/os/build.sh", "--agent", paths.out + "/node/apus-agent", "--version", release.version,
            "--packages", release.packages, "--output", path,
        ])
        return path
    }

    private func builtName(_ directory: String) throws -> Digest256 {
        try SignedEnvelope(parsing: Array(try Files.read(directory + "/manifest.json").utf8)).name
    }
}

/// The node that `provision-pxe` leaves behind, running, for scenarios that start from an installed one.
struct InstalledNode {
    private let directory: String

    /// The installed node of a lab.
    init(paths: LabPaths) { directory = paths.base + "/installed" }

    /// Its disk, never written again.
    var diskPath: String { directory + "/disk.qcow2" }
    /// Its firmware's variables.
    var nvramPath: String { directory + "/nvram.fd" }
    /// Its memory and devices, as QEMU writes them.
    var memoryPath: String { directory + "/memory" }
    /// Its server's data.
    var serverDirectory: String { directory + "/server" }
    private var fingerprintPath: String { directory + "/fingerprint" }
    private var startSecondsPath: String { directory + "/start-seconds" }

    /// How long it took to start when nothing else ran beside it; nil where that is not known.
    var startSeconds: Double? { (try? Files.read(startSecondsPath)).flatMap(Double.init) }

    /// Whether it was made from these inputs, by this QEMU on this kind of processor.
    func isCurrent(_ fingerprint: String, accelerator: String) -> Bool {
        (try? Files.read(fingerprintPath)) == InstalledNode.name(fingerprint, accelerator)
    }

    /// Whether it was kept whole, from whatever it was made.
    var isKept: Bool { Files.exists(fingerprintPath) }

    /// Makes it one that has to be made anew.
    func forget() throws { try Files.remove(fingerprintPath) }

    private static func name(_ fingerprint: String, _ accelerator: String) -> String {
        let version = (try? ChildProcess.run(["qemu-system-x86_64", "--version"]).output) ?? ""
        return [fingerprint, accelerator, version].joined(separator: "\n")
    }

    /// Keeps the running node and its server. The server is away for a moment, so that the node is kept while it looks
    /// for the server, and finds each copy of it at once.
    func keep(_ rehearsal: Rehearsal) throws {
        let fingerprint = try rehearsal.site.fingerprint()
        try Files.remove(directory)
        try Files.makeFolder(directory)
        rehearsal.stopServer()
        // Saved at once: the longer the node looks in vain, the longer it waits between two looks.
        try rehearsal.machine.save(to: memoryPath)
        try Files.copy(rehearsal.server.dataDirectory, to: serverDirectory)
        try Files.copy(rehearsal.directory + "/disk.qcow2", to: diskPath)
        try Files.copy(rehearsal.machine.spec.nvramPath, to: nvramPath)
        if let seconds = rehearsal.startSeconds { try Files.write("\(seconds)", to: startSecondsPath) }
        // Last: a copy that was cut short has no fingerprint, and is made again.
        try Files.write(InstalledNode.name(fingerprint, rehearsal.machine.spec.accelerator), to: fingerprintPath)
        try rehearsal.machine.thaw()
        try rehearsal.startServer()
    }
}
