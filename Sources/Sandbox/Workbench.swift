internal import Contract
internal import Cryptography
internal import Images
internal import Linux
internal import Workloads

/// Makes what a revision needs before its unit starts, and takes it away afterwards: the image's file system, the root
/// above it, volumes, secrets, names, the runtime's configuration.
///
/// What it makes stands below one directory in memory; only volumes and writable roots are on the disk.
struct Workbench: Sendable {
    let places: NodePlaces
    let mounter: any ImageMounter

    /// A read-only root has nothing to write but the places of mounts.
    private static let upperOptions = "mode=755,size=1m,nr_inodes=4096"

    /// All that decides what a revision's sandbox looks like.
    struct Order: Sendable {
        var workload: Workload
        var revision: Digest256
        var policy: NodePolicy
        var ids: IDRange
        var wire: NetworkPlan?
        var image: ImageShelf.Entry
        /// A function's zip; nil where `image` is all there is.
        var task: ImageShelf.Entry?
        var config: ImageConfig
        var secrets: [String: SecretValue]
        var appArmorProfile: String?
        var hosts: String

        var key: RevisionKey { RevisionKey(workload.name, revision) }
    }

    /// Makes everything but the wire. The project of each directory with a quota is asked for by its path.
    func make(_ order: Order, project: (String) throws -> UInt32) throws {
        let key = order.key
        try remove(key)
        let bundle = places.bundle(key)
        // Others may pass through: the runtime mounts as the workload's own user.
        for directory in [places.bundles, places.secretFiles, bundle] {
            try Files.makeDirectory(directory, mode: 0o711)
            try Files.setMode(directory, to: 0o711)
        }
        do {
            try mounter.mount(order.image.image, folder: order.image.folder, on: bundle + "/image", use: Self.use(key))
            try Mounts.mapped(
                bundle + "/image", on: bundle + "/lower", firstID: order.ids.first, count: IDRange.count)
            if let task = order.task {
                try mounter.mount(
                    task.image, folder: task.folder, on: bundle + "/zip", use: Self.use(key, task: true))
                try Mounts.mapped(
                    bundle + "/zip", on: places.sandbox(key).task, firstID: order.ids.first, count: IDRange.count)
            }
            let plan = try plan(order)
            try makeVolumes(key, plan, project)
            try makeSecrets(key, plan, order.secrets)
            try makeNames(order)
            // A function's instances have roots of their own.
            guard order.workload.revision.kind != .function else { return }
            try makeRoot(key, plan, order.ids, project)
            try Files.writeDurably(plan.runtimeConfig.json, to: bundle + "/config.json")
        } catch {
            // What is left is found and removed again before the next attempt: ignoring.
            try? remove(key)
            throw error
        }
    }

    /// The sandbox of a revision whose image is mounted.
    func plan(_ order: Order) throws -> SandboxPlan {
        try plan(order, wire: order.wire, instance: nil, bundle: nil)
    }

    /// The sandbox of a revision, or of an instance of a function that has a directory and a wire of its own.
    func plan(_ order: Order, wire: NetworkPlan?, instance: String?, bundle: String?) throws -> SandboxPlan {
        let revision = order.workload.revision
        let user = try ImageUsers.find(
            revision.user ?? order.config.user, in: places.bundle(order.key) + "/image")
        let defaults = ImageDefaults(
            entrypoint: order.config.entrypoint, command: order.config.command,
            environment: order.config.environment,
            workingDirectory: order.config.workingDirectory.isEmpty ? "/" : order.config.workingDirectory, user: user)
        var paths = places.sandbox(order.key)
        if let bundle {
            paths.bundle = bundle
            paths.root = bundle + "/rootfs"
        }
        var input = SandboxInput(
            workload: order.workload, revision: order.revision, policy: order.policy, ids: order.ids, wire: wire,
            image: defaults, paths: paths, appArmorProfile: order.appArmorProfile,
            hasUnifiedCgroups: Files.isUnifiedCgroup("/sys/fs/cgroup"))
        input.instance = instance
        var plan = try Sandbox.plan(input)
        plan.runtimeConfig.networkNamespace = wire.map(places.namespace)
        return plan
    }

    // MARK: Root

    private func makeRoot(
        _ key: RevisionKey, _ plan: SandboxPlan, _ ids: IDRange, _ project: (String) throws -> UInt32
    ) throws {
        let bundle = places.bundle(key)
        var above = bundle + "/upper"
        if let bytes = plan.writableRootBytes {
            above = places.roots + "/" + places.name(key)
            try Files.makeDirectory(above, mode: 0o700)
            try limit(above, try project("roots/" + places.name(key)), bytes: bytes, inodes: bytes / 16_384)
        } else {
            try Mounts.mount(
                "tmpfs", on: above, type: "tmpfs", flags: [.noSetUID, .noDevices], options: Self.upperOptions)
        }
        for name in ["files", "work"] { try Files.makeDirectory(above + "/" + name) }
        // The root directory of an overlay is that of its upper layer.
        try Files.setMode(above + "/files", to: 0o755)
        try Files.setOwner(above + "/files", user: ids.first, group: ids.first)
        try Mounts.mount(
            "overlay", on: bundle + "/rootfs", type: "overlay", flags: [.noSetUID, .noDevices],
            options: "lowerdir=\(bundle)/lower,upperdir=\(above)/files,workdir=\(above)/work")
    }

    private func limit(_ directory: String, _ project: UInt32, bytes: UInt64, inodes: UInt64) throws {
        try ProjectQuota.assign(project, to: directory)
        try ProjectQuota.limit(project, on: directory, bytes: bytes, inodes: max(1024, inodes))
    }

    // MARK: Volumes, secrets, names

    private func makeVolumes(
        _ key: RevisionKey, _ plan: SandboxPlan, _ project: (String) throws -> UInt32
    ) throws {
        for volume in plan.volumes {
            let name = String(volume.path.split(separator: "/").last ?? "")
            let shown = "\(key.workload)/\(name)"
            let directory = places.volumes + "/" + shown
            let number = try project(shown)
            if !Files.exists(directory) {
                // It has its name only once its owner and its project are right.
                let new = directory + ".new"
                try Files.removeTree(new)
                try Files.makeDirectory(Files.parent(of: directory), mode: 0o700)
                try Files.makeDirectory(new, mode: 0o755)
                try ProjectQuota.assign(number, to: new)
                try Files.setOwner(new, user: volume.uid, group: volume.gid)
                try Files.renameDurably(new, to: directory)
            }
            try ProjectQuota.limit(number, on: directory, bytes: volume.bytes, inodes: UInt64(volume.inodes))
            try Mounts.mount(directory, on: volume.path, type: nil, flags: [.bind])
        }
    }

    private func makeSecrets(_ key: RevisionKey, _ plan: SandboxPlan, _ values: [String: SecretValue]) throws {
        guard !plan.secrets.isEmpty else { return }
        let directory = places.sandbox(key).secrets
        try Files.makeDirectory(directory, mode: 0o711)
        try Files.setMode(directory, to: 0o711)
        for secret in plan.secrets {
            guard let value = values[secret.name.rawValue] else {
                throw SandboxError(
                    "the secret '\(secret.name)' has no value at the server: give it one with 'apus secret set "
                        + "\(secret.name)'", isPermanent: true)
            }
            try Files.writeDurably(value.bytes, to: secret.path, mode: UInt32(secret.mode))
            try Files.setOwner(secret.path, user: secret.uid, group: secret.gid)
        }
    }

    private func makeNames(_ order: Order) throws {
        let directory = places.sandbox(order.key).names
        try Files.makeDirectory(directory, mode: 0o755)
        try Files.setMode(directory, to: 0o755)
        let own = order.workload.revision.hostname ?? order.workload.name.rawValue
        try Files.writeDurably(Array("\(own)\n".utf8), to: directory + "/hostname", mode: 0o644)
        try Files.writeDurably(Array(order.hosts.utf8), to: directory + "/hosts", mode: 0o644)
        let resolver = Self.resolver(order.workload.revision, wire: order.wire)
        try Files.writeDurably(Array(resolver.utf8), to: directory + "/resolv.conf", mode: 0o644)
    }

    /// `/etc/resolv.conf` of a revision (resolv.conf(5)).
    static func resolver(_ revision: Revision, wire: NetworkPlan?) -> String {
        let rest = "# names of linked workloads are in /etc/hosts; nothing else is looked up\n"
        guard let wire, EgressSets(wire: wire, egress: revision.egress).hasNames else { return rest }
        return "# the names that the document lists under egress\nnameserver \(wire.hostVersion4)\n" + rest
    }

    /// Replaces `/etc/hosts` of a running revision: the same file, which the workload sees through a mount.
    func update(hosts: String, of key: RevisionKey) throws {
        let path = places.sandbox(key).names + "/hosts"
        guard let old = try? Files.read(path, limitBytes: 1 << 20), old != Array(hosts.utf8) else { return }
        let file = try OwnedDescriptor(opening: path, [.write, .truncate, .noFollow])
        try file.write(Array(hosts.utf8))
    }

    // MARK: Removing

    /// Takes all of a revision away but its volumes. Mounts first: nothing is deleted through one.
    func remove(_ key: RevisionKey) throws {
        let bundle = places.bundle(key)
        if Files.exists(bundle) {
            let volumes = (try? Files.list(bundle + "/volumes").map { bundle + "/volumes/" + $0 }) ?? []
            for path in volumes + ["rootfs", "lower", "task"].map({ bundle + "/" + $0 }) { try unmount(path) }
            try mounter.unmount(bundle + "/image", use: Self.use(key))
            try mounter.unmount(bundle + "/zip", use: Self.use(key, task: true))
            try unmount(bundle + "/upper")
            for path in volumes + ["rootfs", "lower", "task", "image", "zip", "upper"].map({ bundle + "/" + $0 })
            where Mounts.isMounted(path) {
                throw SandboxError("'\(path)' is still mounted")
            }
            // Without its record it is no longer taken for a whole bundle.
            try Files.remove(BundleRecord.path(in: bundle))
            try Files.removeTree(bundle)
        }
        try Files.removeTree(places.sandbox(key).secrets)
        try Files.removeTree(places.roots + "/" + places.name(key))
    }

    private func unmount(_ path: String) throws {
        guard Mounts.isMounted(path) else { return }
        do { try Mounts.unmount(path) } catch { try Mounts.unmount(path, lazily: true) }
    }

    /// Names a revision's device, or that of its zip: short, and no two the same.
    static func use(_ key: RevisionKey, task: Bool = false) -> String {
        let text = "\(key.workload)@\(key.revision)" + (task ? "/task" : "")
        return Array(SHA256.digest(Array(text.utf8)).prefix(16)).lowercaseHex
    }
}
