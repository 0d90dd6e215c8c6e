internal import Contract
internal import Images
internal import Linux
internal import Workloads

/// What differs between the kinds of workload: what is made before the unit, the unit, and what is taken away.
extension KeeperCore {
    /// A revision that is made ready or started.
    struct Job {
        var key: RevisionKey
        var workload: Workload
        var image: ImageShelf.Entry
        /// A function's zip; nil where `image` is all there is.
        var task: ImageShelf.Entry?
        var ids: IDRange
        var wire: NetworkPlan?
        /// For a machine that is started: what it was made ready for.
        var host: MachineHost?
    }

    /// What was made.
    struct Made {
        /// Whose machine is at the wire's end; nil for a container.
        var machineUser: UInt32?
        /// What runs a machine's processors; nil for a container.
        var accelerator: Accelerator?
    }

    /// What a revision's root is made of, and the zip that is seen in it; nil while one of them is not there.
    func images(of workload: Workload) throws -> (root: ImageShelf.Entry, task: ImageShelf.Entry?)? {
        let entries = shelf.entries()
        func refuse(_ reason: String) -> SandboxError { SandboxError(reason, isPermanent: true) }
        guard let digest = workload.revision.image.digest, let image = entries[digest] else { return nil }
        guard let base = workload.revision.function?.baseImage else {
            switch image.image.content {
            case .zip: throw refuse("'image' is a zip: it needs kind: function, and the function.base_image it runs on")
            case .machine where workload.revision.kind != .vm: throw refuse("'image' is a machine's: it needs kind: vm")
            case .machine, nil: return (image, nil)
            }
        }
        guard let root = base.digest.flatMap({ entries[$0] }) else { return nil }
        guard image.image.content == .zip else {
            throw refuse("'image' is no zip, and only a zip runs on a function.base_image: leave that out")
        }
        guard root.image.content == nil else {
            throw refuse("function.base_image is no container's image")
        }
        return (root, image)
    }

    /// Makes everything but the wire.
    func make(_ job: Job) throws -> Made {
        switch job.workload.revision.kind {
        case .container, .function:
            try workbench.make(try containerOrder(job)) { try project($0) }
            return Made()
        case .vm:
            let plan = try machines.make(machineOrder(job)) { try project($0) }
            return Made(machineUser: plan.user, accelerator: plan.accelerator)
        }
    }

    /// The unit of what was made.
    func unit(_ job: Job) throws -> SystemdUnit {
        switch job.workload.revision.kind {
        case .container: try workbench.plan(try containerOrder(job)).unit
        case .vm: try machines.plan(machineOrder(job)).unit
        case .function: throw SandboxError("a function has no unit of its own: its calls start instances")
        }
    }

    func takeAway(_ key: RevisionKey, isMachine: Bool) throws {
        if isMachine { try machines.remove(key) } else { try workbench.remove(key) }
    }

    func containerOrder(_ job: Job) throws -> Workbench.Order {
        Workbench.Order(
            workload: job.workload, revision: job.key.revision, policy: content.policy, ids: job.ids, wire: job.wire,
            image: job.image, task: job.task, config: try shelf.config(of: job.image),
            secrets: content.secrets.secrets[job.key.workload.rawValue] ?? [:], appArmorProfile: appArmorProfile,
            hosts: WireRules.hosts(job.workload, wire: job.wire, ends: ends()))
    }

    private func machineOrder(_ job: Job) -> MachineBench.Order {
        MachineBench.Order(
            workload: job.workload, revision: job.key.revision, policy: content.policy, ids: job.ids, wire: job.wire,
            image: job.image, host: job.host ?? effects.machineHost(), agent: effects.agentProgram)
    }

    // MARK: Wires

    /// A wire for what needs one. A machine has the same each time: its disk remembers its addresses.
    func freeWire(_ workload: Workload) throws -> NetworkPlan? {
        guard workload.revision.hasNetwork else { return nil }
        let known = memory.machineWires ?? [:]
        if workload.revision.kind == .vm, let index = known[workload.name.rawValue], !takenWires.contains(index) {
            return NetworkPlan(index: index)
        }
        let wire = try freeWire()
        if workload.revision.kind == .vm {
            var next = memory
            next.machineWires = known.merging([workload.name.rawValue: wire.index]) { $1 }
            try store.save(next)
            memory = next
        }
        return wire
    }

    /// A wire that nothing has, and that no machine is to have again.
    func freeWire() throws -> NetworkPlan {
        let kept = (memory.machineWires ?? [:]).values
        guard let wire = WireRules.freeIndex(takenWires.union(kept)) else {
            throw SandboxError("this node has no addresses left for a workload")
        }
        return wire
    }

    private var takenWires: Set<Int> {
        Set(BundleRecord.all(in: effects.places).values.compactMap(\.wire) + functionWires.values.map(\.index))
    }

    // MARK: Disks

    /// A machine's disk goes with the workload, and once neither what is wanted, nor what one goes back to, nor what is
    /// there has its image.
    func tidyDisks() {
        // What the server wants and this version cannot read may still be somebody's.
        guard content.generation > 0, content.refused.isEmpty, let names = try? Files.list(machines.places.machines)
        else { return }
        var images: [WorkloadName: Set<Digest256>] = [:]
        for desired in content.desired {
            let name = desired.workload.name
            let revisions = [desired.workload] + documents.filter { $0.key.workload == name }.map(\.value)
            images[name] = Set(revisions.compactMap(\.revision.image.digest))
        }
        for bundle in BundleRecord.all(in: effects.places).values {
            images[bundle.workload, default: []].insert(bundle.image)
        }
        do {
            for name in names.compactMap({ WorkloadName($0) }) {
                try machines.removeDisks(of: name, keeping: images[name] ?? [])
            }
            let kept = memory.machineWires?.filter { name, _ in WorkloadName(name).map { images[$0] != nil } ?? false }
            guard kept != memory.machineWires else { return }
            var next = memory
            next.machineWires = kept
            try store.save(next)
            memory = next
        } catch {
            tell("disks", "\(error)")
        }
    }

    /// The state of a machine that runs says what runs its processors.
    func withAccelerators(_ reports: [WorkloadReport]) -> [WorkloadReport] {
        let bundles = BundleRecord.all(in: effects.places)
        return reports.map { report in
            guard report.phase == .running, let revision = report.revision,
                let accelerator = bundles[RevisionKey(report.name, revision)]?.accelerator
            else { return report }
            var said = report
            let words = accelerator == .kvm ? "with kvm" : "with tcg: this node has no KVM, and it is slow"
            said.reason = report.reason.isEmpty ? words : "\(words); \(report.reason)"
            return said
        }
    }
}
