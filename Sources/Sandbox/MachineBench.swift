internal import Contract
internal import Cryptography
internal import Images
internal import Linux
internal import Workloads

/// Makes what a machine needs before its unit starts, and takes it away afterwards: its image's files, its own disk
/// above them, the seed, sockets and pipes. `Workbench` does the same for containers.
///
/// The disk is the workload's as long as the image stays the same: revisions, restarts and starts of the node find it
/// again. A revision with another image begins with a new disk.
struct MachineBench: Sendable {
    let places: NodePlaces
    let mounter: any ImageMounter
    /// Limits a directory: project, bytes.
    var limit: @Sendable (String, UInt32, UInt64) throws -> Void = { directory, project, bytes in
        try ProjectQuota.assign(project, to: directory)
        try ProjectQuota.limit(project, on: directory, bytes: bytes, inodes: 16)
    }

    /// All that decides what a revision's machine looks like.
    struct Order: Sendable {
        var workload: Workload
        var revision: Digest256
        var policy: NodePolicy
        var ids: IDRange
        var wire: NetworkPlan?
        var image: ImageShelf.Entry
        var host: MachineHost
        var agent: String

        var key: RevisionKey { RevisionKey(workload.name, revision) }
    }

    /// Makes everything but the wire, and says what the machine is.
    func make(_ order: Order, project: (String) throws -> UInt32) throws -> MachinePlan {
        let key = order.key
        // What the node lacks is said before anything is made.
        let missing = order.host.refusals(order.workload.revision.machine?.firmware ?? .uefi)
        guard missing.isEmpty else { throw SandboxRefusal(missing) }
        try remove(key)
        let bundle = places.bundle(key)
        // The machine's user passes through.
        for directory in [places.bundles, bundle] {
            try Files.makeDirectory(directory, mode: 0o711)
            try Files.setMode(directory, to: 0o711)
        }
        do {
            try mounter.mount(
                order.image.image, folder: order.image.folder, on: bundle + "/image", use: Workbench.use(key))
            try Mounts.mapped(
                bundle + "/image", on: paths(key).image, firstID: order.ids.first, count: IDRange.count)
            let plan = try plan(order)
            try makeDisk(order, plan, project)
            try makeSeed(key, plan)
            try makeChannels(key, plan)
            return plan
        } catch {
            // What is left is found and removed again before the next attempt: ignoring.
            try? remove(key)
            throw error
        }
    }

    func paths(_ key: RevisionKey, wire: NetworkPlan? = nil) -> MachinePaths {
        MachinePaths(bundle: places.bundle(key), namespace: wire.map(places.namespace))
    }

    /// The machine of a revision whose image is mounted.
    func plan(_ order: Order) throws -> MachinePlan {
        let paths = paths(order.key, wire: order.wire)
        let parts = try MachineParts.find(in: paths.image, user: order.ids.outer(MachinePlan.innerUser))
        return try MachinePlan(
            MachineInput(
                workload: order.workload, revision: order.revision, policy: order.policy, ids: order.ids,
                wire: order.wire, host: order.host, parts: parts, paths: paths, agent: order.agent))
    }

    // MARK: Disk

    /// The directory of a workload's disk above an image.
    private func disks(_ workload: WorkloadName, _ image: Digest256) -> String {
        "\(places.machines)/\(workload)/\("\(image)".prefix(12))"
    }

    private func makeDisk(_ order: Order, _ plan: MachinePlan, _ project: (String) throws -> UInt32) throws {
        guard plan.diskBytes != nil || plan.hasVariables else { return }
        guard let image = order.workload.revision.image.digest else { throw SandboxError("its image has no digest") }
        let key = order.key
        let paths = paths(key)
        let directory = disks(key.workload, image)
        try Files.makeDirectory(places.machines, mode: 0o700)
        // The machine's user reaches its disk, and makes nothing beside it.
        try Files.makeDirectory(directory, mode: 0o711)
        try Files.setMode(directory, to: 0o711)
        try limit(
            directory, try project("machines/\(key.workload)/\("\(image)".prefix(12))"), plan.diskQuotaBytes)
        if let bytes = plan.diskBytes { try makeOverlay(directory + "/disk.qcow2", bytes, plan.user) }
        if plan.hasVariables { try makeVariables(directory + "/variables.fd", plan.user) }
        try Mounts.mount(directory, on: paths.disks, type: nil, flags: [.bind])
    }

    /// A new disk has its name once it is whole; an old one may grow.
    private func makeOverlay(_ path: String, _ bytes: UInt64, _ user: UInt32) throws {
        let overlay = Qcow2Overlay(virtualBytes: bytes)
        if Files.exists(path) { return try grow(path, overlay) }
        let new = path + ".new"
        try Files.remove(new)
        do {
            let file = try OwnedDescriptor(opening: new, [.write, .create, .exclusive, .noFollow])
            try file.truncate(to: Qcow2Overlay.fileBytes)
            for piece in overlay.pieces { try piece.bytes.withUnsafeBytes { try file.write($0, at: piece.offset) } }
            try file.sync()
        }
        try Files.setOwner(new, user: user, group: user)
        try Files.renameDurably(new, to: path)
    }

    /// The machine wrote what is in this file: only its size is looked at, and a lie harms nobody but itself.
    private func grow(_ path: String, _ overlay: Qcow2Overlay) throws {
        let file = try OwnedDescriptor(opening: path, [.read, .write, .noFollow])
        guard case .regular = try file.status().kind, let old = Qcow2Overlay.virtualBytes(try file.read(atMost: 32))
        else { throw SandboxError("'\(path)' is no disk any more", isPermanent: true) }
        guard old != overlay.virtualBytes else { return }
        guard old < overlay.virtualBytes else {
            throw SandboxError(
                "its disk has \(old >> 20) MiB already, and a disk never becomes smaller: ask for as much with "
                    + "vm.disk_size, or delete the workload and its disk", isPermanent: true)
        }
        let growth = overlay.growth
        try growth.bytes.withUnsafeBytes { try file.write($0, at: growth.offset) }
        try file.sync()
    }

    private func makeVariables(_ path: String, _ user: UInt32) throws {
        guard !Files.exists(path) else { return }
        let new = path + ".new"
        try Files.writeDurably(
            try Files.read(MachineHost.firmwareVariables, limitBytes: 4 << 20), to: new, mode: 0o600)
        try Files.setOwner(new, user: user, group: user)
        try Files.renameDurably(new, to: path)
    }

    /// Removes a workload's disks but for those above these images.
    func removeDisks(of workload: WorkloadName, keeping images: Set<Digest256>) throws {
        let directory = "\(places.machines)/\(workload)"
        guard Files.exists(directory) else { return }
        let kept = Set(images.map { String("\($0)".prefix(12)) })
        for name in try Files.list(directory) where !kept.contains(name) {
            try Files.removeTree("\(directory)/\(name)")
        }
        if try Files.list(directory).isEmpty { try Files.removeTree(directory) }
    }

    // MARK: Seed and channels

    private func makeSeed(_ key: RevisionKey, _ plan: MachinePlan) throws {
        let path = paths(key).seed
        try Files.writeDurably(plan.seed, to: path, mode: 0o400)
        try Files.setOwner(path, user: plan.user, group: plan.user)
    }

    private func makeChannels(_ key: RevisionKey, _ plan: MachinePlan) throws {
        let paths = paths(key)
        try Files.makeDirectory(paths.channels, mode: 0o700)
        let made = try Processes.run("/usr/bin/mkfifo", ["--mode=600", paths.consoleLog], timeoutSeconds: 10)
        guard made.succeeded else { throw SandboxError("mkfifo \(made.summary)") }
        try Files.writeDurably([], to: paths.consoleLock, mode: 0o600)
        for path in [paths.consoleLog, paths.consoleLock, paths.channels] {
            try Files.setOwner(path, user: plan.user, group: plan.user)
        }
    }

    // MARK: Removing

    /// Takes all of a revision away but its disk. Mounts first: nothing is deleted through one.
    func remove(_ key: RevisionKey) throws {
        let bundle = places.bundle(key)
        guard Files.exists(bundle) else { return }
        let paths = paths(key)
        for path in [paths.disks, paths.image] where Mounts.isMounted(path) {
            do { try Mounts.unmount(path) } catch { try Mounts.unmount(path, lazily: true) }
        }
        try mounter.unmount(bundle + "/image", use: Workbench.use(key))
        for path in [paths.disks, paths.image, bundle + "/image"] where Mounts.isMounted(path) {
            throw SandboxError("'\(path)' is still mounted")
        }
        // Without its record it is no longer taken for a whole bundle.
        try Files.remove(BundleRecord.path(in: bundle))
        try Files.removeTree(bundle)
    }
}
