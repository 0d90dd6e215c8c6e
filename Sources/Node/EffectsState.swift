public import Contract
internal import Cryptography
internal import Decisions
internal import Linux
public import Sequences

/// The state partition of the disk in use, and the identity on it, for real.
public final class NodeState: StateEffect {
    /// Where it is mounted in early boot.
    static let mountPoint = "/run/apus/state"

    private let context: EarlyContext
    private let use: DiskInUse

    /// Makes it over what was learnt and the disk in use.
    public init(_ context: EarlyContext, _ use: DiskInUse) {
        self.context = context
        self.use = use
    }

    /// Makes the file system, or keeps the one that is there where it mounts.
    public func prepare(keeps: Bool) throws {
        let path = try use.get().partition(.state).path
        context.keeper?.alive(forSeconds: StateFileSystem.longestSeconds)
        if keeps {
            do {
                try StateFileSystem.check(path)
                try mounted(path) { _ in }
                return
            } catch {
                context.log.log("the state partition cannot be kept and is made anew: \(error)")
            }
        }
        try StateFileSystem.make(path)
        try mounted(path) { _ in }
    }

    /// Reads the node's key from the disk in use.
    public func loadIdentity() -> Bool {
        guard let path = try? use.get().partition(.state).path else { return false }
        context.keeper?.alive(forSeconds: StateFileSystem.longestSeconds)
        do {
            try StateFileSystem.check(path)
            return try mounted(path, readOnly: true) { files in
                guard let pem = try files.text(.key) else { return false }
                context.key = try P256PrivateKey(pem: pem)
                context.log.log("this node's key was found on its disk and is used again")
                return true
            }
        } catch {
            context.log.log("no identity is taken from the disk: \(error)")
            return false
        }
    }

    /// The network settings that worked when the disk in use was installed.
    func formerNetwork() -> NetworkSettings? {
        guard let path = use.disk?.partitions[.state]?.path else { return nil }
        return try? mounted(path, readOnly: true) { try $0.value(NetworkSettings.self, .network) }
    }

    /// Writes everything that the installed system needs to be this node.
    public func saveIdentity(plan: ProvisioningPlan) throws {
        guard let key = context.key, let certificate = context.certificate, let identity = context.identity else {
            throw NodeError("this machine has not been admitted")
        }
        var trust = try context.trust()
        // The token has done its work, and the endpoint that worked is the one to go on with.
        trust.token = nil
        trust.endpoint = identity.endpoint
        let network = context.network?.settings
        try mounted(try use.get().partition(.state).path) { files in
            try files.prepare()
            try files.write(try key.pem(), .key)
            try files.write(certificate, .certificate)
            try files.write(trust, as: .trust)
            if let network { try files.write(network, as: .network) }
            if let medium = context.recoveryTrust() {
                try files.write(medium, as: .medium)
            } else {
                try files.remove(.medium)
            }
            // What the agent of an earlier installation remembered concerns releases that are gone.
            try files.remove(.agent)
            // Last: whoever finds it finds the rest.
            try files.write(identity, as: .identity)
            try Files.syncFileSystem(containing: files.directory)
        }
    }

    private func mounted<Value>(
        _ path: String, readOnly: Bool = false, _ body: (NodeFiles) throws -> Value
    ) throws -> Value {
        try StateFileSystem.mount(path, on: Self.mountPoint, readOnly: readOnly)
        do {
            let value = try body(NodeFiles(stateMountedAt: Self.mountPoint))
            try Mounts.unmount(Self.mountPoint)
            return value
        } catch {
            try? Mounts.unmount(Self.mountPoint, lazily: true)
            throw error
        }
    }
}

/// ext4 for state: with project quotas for workloads and fs-verity for images.
enum StateFileSystem {
    /// Checking or making it takes no longer, in seconds: whichever does is ended before that.
    static let longestSeconds: Int64 = 300

    static func make(_ path: String) throws {
        // Without -E lazy options the first boot would write inode tables in the background for minutes; and a
        // discard of a whole disk can take minutes too.
        let arguments = [
            "-q", "-F", "-t", "ext4", "-L", "apus-state", "-m", "1", "-O", "verity,quota,project",
            "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", path,
        ]
        let outcome = try Processes.run(
            "/usr/sbin/mke2fs", arguments, environment: Processes.defaultEnvironment + ["MKE2FS_SYNC=10"],
            timeoutSeconds: 280)
        guard outcome.succeeded else { throw NodeError("mke2fs on '\(path)' \(outcome.summary)") }
    }

    /// Repairs what can be repaired without a person (e2fsck(8), "-p"); without the program the journal does.
    static func check(_ path: String) throws {
        guard Files.exists("/usr/sbin/e2fsck") else { return }
        let outcome = try Processes.run("/usr/sbin/e2fsck", ["-p", path], timeoutSeconds: 280)
        // 1: errors were corrected; 2: and a restart is advised, which concerns mounted file systems only.
        guard case .exited(let status) = outcome.ending, status < 4 else {
            throw NodeError("e2fsck on '\(path)' \(outcome.summary)")
        }
    }

    static func mount(_ path: String, on target: String, readOnly: Bool) throws {
        var flags: Mounts.Flags = [.noSetUID, .noDevices, .noAccessTimes]
        if readOnly { flags.insert(.readOnly) }
        // Errors make it read-only, which the health checks see; a panic would not mend it.
        try Mounts.mount(path, on: target, type: "ext4", flags: flags, options: "errors=remount-ro,prjquota")
    }
}
