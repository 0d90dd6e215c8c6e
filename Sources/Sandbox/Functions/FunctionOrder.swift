internal import Contract
internal import Images
internal import Linux
internal import Workloads

/// A function whose bundle is ready: its image is mounted, and shared by its instances alone.
struct FunctionOrder: Sendable {
    var order: Workbench.Order
    /// Its instances get wires of their own.
    var needsWire: Bool

    var key: RevisionKey { order.key }
    var settings: FunctionSettings { order.workload.revision.function ?? FunctionSettings() }
}

/// One instance of one function.
struct InstanceKey: Sendable, Hashable {
    var function: RevisionKey
    var number: Int
}

/// Makes, starts and ends instances. All of it blocks, and is done by threads of their own.
struct InstanceMaker: Sendable {
    let places: NodePlaces
    let units: any UnitManager
    /// Tells this agent's instances from those of an earlier one.
    let epoch: String

    /// How long systemd may take to say which process an instance is, in milliseconds.
    private static let startMilliseconds: Int64 = 60_000
    private static let upperOptions = "mode=755,size=1m,nr_inodes=4096"

    /// What an instance is called beside its function.
    func label(_ number: Int) -> String { "\(epoch)-\(number)" }

    func unit(_ key: InstanceKey) -> String {
        SystemdUnit.name(key.function.workload, key.function.revision, instance: label(key.number))
    }

    private func name(_ key: InstanceKey) -> String {
        "\(places.name(key.function))\(SystemdUnit.instanceMark)\(label(key.number))"
    }

    private func directory(_ key: InstanceKey) -> String { "\(places.functions)/\(name(key))" }

    private func network(_ key: InstanceKey) -> String { "\(directory(key))/network" }

    /// Makes an instance's root and network, and listens there for its runtime client. The thread moves into that
    /// network.
    func make(_ order: FunctionOrder, _ key: InstanceKey, wire: NetworkPlan?) throws -> OwnedDescriptor {
        let bundle = places.bundle(key.function)
        let own = directory(key)
        for directory in [places.functions, own] {
            try Files.makeDirectory(directory, mode: 0o711)
            try Files.setMode(directory, to: 0o711)
        }
        try Mounts.mount(
            "tmpfs", on: own + "/upper", type: "tmpfs", flags: [.noSetUID, .noDevices], options: Self.upperOptions)
        for name in ["files", "work"] { try Files.makeDirectory("\(own)/upper/\(name)") }
        try Files.setMode(own + "/upper/files", to: 0o755)
        let root = order.order.ids.first
        try Files.setOwner(own + "/upper/files", user: root, group: root)
        try Mounts.mount(
            "overlay", on: own + "/rootfs", type: "overlay", flags: [.noSetUID, .noDevices],
            options: "lowerdir=\(bundle)/lower,upperdir=\(own)/upper/files,workdir=\(own)/upper/work")
        try Files.writeDurably(try plan(order, key, wire: wire).runtimeConfig.json, to: own + "/config.json")
        if let wire {
            try Processes.enterNetwork(places.namespace(wire))
        } else {
            try Processes.makeNetwork(at: network(key))
        }
        return try Sockets.listen(RuntimeReply.address, port: RuntimeReply.port, backlog: 16)
    }

    private func plan(_ order: FunctionOrder, _ key: InstanceKey, wire: NetworkPlan?) throws -> SandboxPlan {
        let workbench = Workbench(places: places, mounter: NoImages())
        var plan = try workbench.plan(order.order, wire: wire, instance: label(key.number), bundle: directory(key))
        plan.runtimeConfig.networkNamespace = wire.map(places.namespace) ?? network(key)
        return plan
    }

    /// Starts it, and gives a descriptor that becomes readable when it ends.
    func start(_ order: FunctionOrder, _ key: InstanceKey, wire: NetworkPlan?) throws -> OwnedDescriptor {
        let unit = try plan(order, key, wire: wire).unit
        try units.start(unit)
        let deadline = Clock.bootMilliseconds() + Self.startMilliseconds
        while Clock.bootMilliseconds() < deadline {
            if let found = try units.units().first(where: { $0.name == unit.name }) {
                if found.mainProcess > 1 { return try Processes.watch(found.mainProcess) }
                if found.activeState == "failed" { throw SandboxError(Self.ending(found)) }
            }
            Clock.pause(milliseconds: 20)
        }
        throw SandboxError("with error: systemd does not start it")
    }

    /// How an instance ended that is no longer there, as the end of a sentence that it exited.
    func ending(_ key: InstanceKey) -> String {
        let name = unit(key)
        thaw(key)
        // systemd notices a moment after the kernel.
        for _ in 0..<50 {
            guard let found = try? units.units().first(where: { $0.name == name }) else { break }
            if found.activeState == "failed" { return Self.ending(found) }
            Clock.pause(milliseconds: 20)
        }
        return "without providing a reason"
    }

    static func ending(_ unit: UnitStatus) -> String {
        switch (unit.result, unit.mainStatus) {
        case ("oom-kill", _): "with error: signal: killed: it used more memory than its mem_limit"
        // crun says by its own status which signal ended the process.
        case ("exit-code", 129...192): "with error: signal: \(unit.mainStatus - 128)"
        case ("exit-code", let status): "with error: exit status \(status)"
        case ("signal", let signal), ("core-dump", let signal): "with error: signal: \(signal)"
        default: "with error: \(BundleRecord.failure(unit) ?? "it ended")"
        }
    }

    /// Kills all of it; what is not there is fine.
    func kill(_ key: InstanceKey) {
        try? units.kill(unit(key))
        thaw(key)
    }

    /// What systemd runs after a unit's end runs in the unit's control group, and must not be frozen there.
    private func thaw(_ key: InstanceKey) { try? units.setFrozen(unit(key), false) }

    /// Takes away what was made, once nothing of it runs.
    func remove(_ key: InstanceKey) throws {
        try units.forget(unit(key))
        try remove(directory: directory(key))
    }

    private func remove(directory own: String) throws {
        for name in ["rootfs", "upper"] {
            let path = own + "/" + name
            if Mounts.isMounted(path) { try Mounts.unmount(path, lazily: true) }
        }
        if Files.isNamespace(own + "/network") { try Mounts.unmount(own + "/network", lazily: true) }
        try Files.removeTree(own)
    }

    /// Takes away what an earlier agent left.
    func removeAll() throws {
        for name in (try? Files.list(places.functions)) ?? [] { try remove(directory: places.functions + "/" + name) }
    }
}

/// No image is mounted for an instance: it uses its function's.
private struct NoImages: ImageMounter {
    func mount(_ image: StoredImage, folder: String, on target: String, use: String) throws {
        throw SandboxError("an instance has no image of its own")
    }

    func unmount(_ target: String, use: String) throws {}
}
