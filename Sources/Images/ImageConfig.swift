public import Contract

/// How an image wants to be run (OCI image specification, "image configuration"); what is not said is empty.
public struct ImageConfig: Sendable, Equatable {
    /// What it runs on.
    public let platform: Platform
    /// `user`, `user:group`, or their numbers.
    public let user: String
    /// `NAME=value`.
    public let environment: [String]
    /// What is started.
    public let entrypoint: [String]
    /// The arguments, or the command where there is no entry point.
    public let command: [String]
    /// Where it starts.
    public let workingDirectory: String
    /// Notes.
    public let labels: [String: String]
    /// Ports it listens on, as `80/tcp`, sorted.
    public let exposedPorts: [String]
    /// Directories that it writes to, sorted.
    public let volumes: [String]
    /// The signal that ends it, such as `SIGTERM`.
    public let stopSignal: String
    /// The SHA-256 of each layer's archive, unpacked, the lowest first.
    public let layerDigests: [Digest256]

    private struct Nothing: Decodable {}
    private struct Run: Decodable {
        var User: String?
        var Env: [String]?
        var Entrypoint: [String]?
        var Cmd: [String]?
        var WorkingDir: String?
        var Labels: [String: String]?
        var ExposedPorts: [String: Nothing]?
        var Volumes: [String: Nothing]?
        var StopSignal: String?
    }
    private struct RootFS: Decodable {
        var type: String
        var diff_ids: [String]
    }
    private struct Raw: Decodable {
        var os: String
        var architecture: String
        var variant: String?
        var config: Run?
        var rootfs: RootFS
    }

    /// Parses bytes whose digest was verified before.
    ///
    /// - Parameters:
    ///   - bytes: the document.
    ///   - layers: how many layers the manifest has: the configuration must name as many.
    ///   - limits: its largest size.
    public init(parsing bytes: [UInt8], layers: Int, limits: ImageLimits = .standard) throws(ImageError) {
        let raw: Raw
        do throws(WireError) {
            raw = try Wire.decode(Raw.self, from: bytes, limit: limits.configBytes)
        } catch {
            throw .document("its configuration: \(error)")
        }
        guard raw.rootfs.type == "layers", raw.rootfs.diff_ids.count == layers else {
            throw .document("its configuration names \(raw.rootfs.diff_ids.count) layers, and its manifest \(layers)")
        }
        var digests: [Digest256] = []
        for text in raw.rootfs.diff_ids {
            guard let digest = try? ImageReference.parseDigest(text) else {
                throw .document("its configuration has a layer digest that is not sha256")
            }
            digests.append(digest)
        }
        layerDigests = digests
        platform = Platform(os: raw.os, architecture: raw.architecture, variant: raw.variant)
        let run = raw.config
        user = run?.User ?? ""
        environment = run?.Env ?? []
        entrypoint = run?.Entrypoint ?? []
        command = run?.Cmd ?? []
        workingDirectory = run?.WorkingDir ?? ""
        labels = run?.Labels ?? [:]
        exposedPorts = (run?.ExposedPorts ?? [:]).keys.sorted()
        volumes = (run?.Volumes ?? [:]).keys.sorted()
        stopSignal = run?.StopSignal ?? ""
        try check()
    }

    /// Texts end up in a process's arguments and environment, where a zero byte would end them early.
    private func check() throws(ImageError) {
        let texts = [user, workingDirectory, stopSignal] + environment + entrypoint + command + volumes + exposedPorts
        guard texts.count <= 8192, !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw .document("its configuration has too many texts, or one with a zero byte")
        }
        guard
            environment.allSatisfy({
                ($0.utf8.firstIndex(of: UInt8(ascii: "=")) ?? $0.utf8.startIndex) > $0.utf8.startIndex
            })
        else { throw .document("its configuration has an environment variable without a name") }
        for path in volumes + (workingDirectory.isEmpty ? [] : [workingDirectory]) {
            guard path.utf8.first == UInt8(ascii: "/"), path.utf8.count <= 4095,
                !path.split(separator: "/").contains("..")
            else {
                throw .document("its configuration has '\(ImagePath.printable(path.utf8))' where a path is expected")
            }
        }
    }
}
