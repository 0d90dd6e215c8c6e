internal import Contract
internal import Images
internal import Linux
internal import Workloads

extension WorkloadAction {
    /// The revision that it is about, where it is about one.
    var key: RevisionKey? {
        switch self {
        case .prepare(let key), .start(let key), .switchPorts(let key), .stop(let key, _, _), .remove(let key),
            .reportStuck(let key, _):
            key
        case .pull, .rollBack: nil
        }
    }
}

/// Carrying out, thinly: each is the same when it is done twice.
extension KeeperCore {
    func carryOut(_ action: WorkloadAction, _ bundle: BundleRecord?) {
        do {
            switch action {
            case .pull(let image): try pull(image)
            case .prepare(let key): prepare(key)
            case .start(let key): start(key)
            case .switchPorts(let key): try switchPorts(to: key)
            case .stop(let key, let grace, let reason): try stop(key, bundle, grace, reason)
            case .remove(let key): try remove(key, bundle)
            case .rollBack(let name, let failed, let kept, let reason):
                let rest = kept.map { "revision \("\($0)".prefix(12)) is kept" } ?? "no earlier revision was healthy"
                tell(
                    "roll-back-\(name)",
                    "workload '\(name)': revision \("\(failed)".prefix(12)) failed: \(reason); \(rest)")
            case .reportStuck(let key, let waitingFor):
                tell("stuck-\(key)", "workload '\(key.workload)' was killed and does not end: \(waitingFor)")
            }
        } catch {
            tell("action-\(action.key?.description ?? "")", "\(error)")
        }
    }

    // MARK: Images

    /// One after the other: the store is one program's at a time, and so are the memory and the line that it takes.
    private func pull(_ image: WorkloadImage) throws {
        guard let digest = image.digest, pulls[digest] != .running, pulls[digest] != .queued else { return }
        pulls[digest] = .queued
        queuedPulls.append(image)
        try fetchNext()
    }

    /// Begins with the first image in the queue that is still wanted, where none is being fetched.
    func fetchNext() throws {
        while !pulls.values.contains(.running), !queuedPulls.isEmpty {
            let image = queuedPulls.removeFirst()
            guard let digest = image.digest else { continue }
            let wanted = (content.desired.map(\.workload) + Array(documents.values)).map(\.revision)
            guard wanted.contains(where: { $0.images.contains { $0.digest == digest } }) else {
                pulls[digest] = nil
                continue
            }
            try fetch(image, digest, wanted)
        }
    }

    /// What a file at an address is, by the workload that wants it.
    private static func file(_ image: WorkloadImage, _ wanted: [Revision]) -> ImagePullRequest.File {
        let users = wanted.filter { $0.image == image }
        if users.contains(where: \.isZip) { return .zip }
        return users.contains { $0.kind == .container } ? .archive : .disk
    }

    private func fetch(_ image: WorkloadImage, _ digest: Digest256, _ wanted: [Revision]) throws {
        let entries = shelf.entries()
        let request = ImagePullRequest(
            directory: effects.places.images, reference: image.untagged,
            file: Self.file(image, wanted),
            account: content.registries.first { $0.host == image.registry },
            inUse: wanted.flatMap(\.images).compactMap { $0.digest.flatMap { entries[$0]?.image.digest } })
        let fetcher = effects.fetcher
        let post = effects.post
        pulls[digest] = nil
        try WorkerThread {
            do {
                try fetcher.fetch(request)
                post(.pulled(digest, nil))
            } catch {
                let isRefused = (error as? SandboxError)?.isPermanent ?? false
                post(.pulled(digest, isRefused ? .refused("\(error)") : .failed("\(error)")))
            }
        }.detach()
        pulls[digest] = .running
    }

    // MARK: Making ready

    private func prepare(_ key: RevisionKey) {
        attempt(key) {
            guard let workload = document(key), let digest = workload.revision.image.digest,
                let images = try images(of: workload), let ids = memory.ranges[key.workload.rawValue]
            else { return }
            try check(workload.revision)
            let job = Job(
                key: key, workload: workload, image: images.root, task: images.task, ids: ids,
                wire: try freeWire(workload), host: nil)
            let made = try make(job)
            // A function's instances have wires of their own; this one was only to see whether all fits together.
            let wire = workload.revision.kind == .function ? nil : job.wire
            do {
                try connect(key, workload.revision, wire, machineUser: made.machineUser)
                try BundleRecord(
                    workload: key.workload, revision: key.revision, image: digest, wire: wire?.index,
                    accelerator: made.accelerator
                ).save(in: effects.places.bundle(key))
            } catch {
                if let wire {
                    releaseNames(wire)
                    try? wires.remove(wire)
                }
                try? takeAway(key, isMachine: made.accelerator != nil)
                throw error
            }
        }
    }

    /// What this node cannot give is refused, not left out.
    private func check(_ revision: Revision) throws {
        if revision.kind == .function { try checkFunction(revision) }
    }

    /// The wire comes up with its rules, and not before.
    func connect(
        _ key: RevisionKey, _ revision: Revision, _ wire: NetworkPlan?, machineUser: UInt32? = nil
    ) throws {
        guard let wire else { return }
        if !hasNetwork {
            try wires.prepareNode()
            hasNetwork = true
        }
        try wires.make(wire, machineUser: machineUser)
        let end = WireEnd(key: key, wire: wire, revision: revision, holdsPorts: false, launchedMilliseconds: 0)
        try apply(WireRules.all(ends() + [end]))
        try wires.raise(wire, machineUser: machineUser)
        try serveNames(end)
    }

    func project(_ directory: String) throws -> UInt32 {
        var next = memory
        guard let number = next.project(for: directory) else {
            throw SandboxError("this node has no project numbers left for another volume")
        }
        if next != memory {
            try store.save(next)
            memory = next
        }
        return number
    }

    /// Tries, with a wait after a failure, and says why it failed.
    private func attempt(_ key: RevisionKey, _ work: () throws -> Void) {
        let now = effects.now().bootMilliseconds
        if let failure = failures[key], now < failure.nextMilliseconds { return }
        do {
            try work()
            failures[key] = nil
        } catch {
            var failure = failures[key] ?? Failures()
            failure.count += 1
            failure.reason = Text.clean("\(error)", limit: WorkloadWireLimit.reason)
            failure.isPermanent = error is SandboxRefusal || (error as? SandboxError)?.isPermanent ?? false
            failure.nextMilliseconds = now + Self.attemptWaitMilliseconds * Int64(min(failure.count, 20))
            failures[key] = failure
            tell("attempt-\(key)", "workload '\(key.workload)': \(failure.reason)")
        }
    }

    // MARK: Starting and stopping

    private func start(_ key: RevisionKey) {
        attempt(key) {
            let path = effects.places.bundle(key)
            guard var bundle = BundleRecord.all(in: effects.places)[key], let workload = document(key),
                let entry = shelf.entries()[bundle.image], let ids = memory.ranges[key.workload.rawValue]
            else { throw SandboxError("what '\(key.workload)' needs to start is no longer there") }
            let wire = bundle.wire.flatMap { NetworkPlan(index: $0) }
            let unit = try unit(
                Job(
                    key: key, workload: workload, image: entry, ids: ids, wire: wire,
                    host: bundle.accelerator.map { effects.machineHost().with($0) }))
            bundle.launch = BundleRecord.Launch(
                state: .starting, sinceMilliseconds: effects.now().bootMilliseconds)
            try bundle.save(in: path)
            try effects.units.start(unit)
            bundle.launch?.state = .started
            try bundle.save(in: path)
        }
    }

    private func stop(_ key: RevisionKey, _ bundle: BundleRecord?, _ grace: Int64, _ reason: String) throws {
        guard var bundle else { return }
        bundle.launch = BundleRecord.Launch(state: .stopping, sinceMilliseconds: effects.now().bootMilliseconds)
        try bundle.save(in: effects.places.bundle(key))
        if !reason.isEmpty { tell("stop-\(key)", "workload '\(key.workload)' is stopped: \(reason)") }
        try effects.units.stop(SystemdUnit.name(key.workload, key.revision), graceMilliseconds: grace)
    }

    private func remove(_ key: RevisionKey, _ bundle: BundleRecord?) throws {
        try effects.units.forget(SystemdUnit.name(key.workload, key.revision))
        if let wire = bundle?.wire.flatMap({ NetworkPlan(index: $0) }) {
            releaseNames(wire)
            try wires.remove(wire)
            applied[wire.index] = nil
        }
        try takeAway(key, isMachine: bundle?.accelerator != nil)
        health[key] = nil
        failures[key] = nil
    }

    // MARK: Network

    private func switchPorts(to key: RevisionKey) throws {
        // The old one loses them first: rules for all follow in one transaction.
        for var bundle in BundleRecord.all(in: effects.places).values where bundle.workload == key.workload {
            let holds = bundle.revision == key.revision
            guard bundle.holdsPorts != holds else { continue }
            bundle.holdsPorts = holds
            try bundle.save(in: effects.places.bundle(bundle.key))
        }
    }

    func ends() -> [WireEnd] {
        let instances = functionWires.compactMap { key, wire in
            document(key.function).map {
                WireEnd(
                    key: key.function, wire: wire, revision: $0.revision, holdsPorts: false, launchedMilliseconds: 0)
            }
        }
        let own: [WireEnd] = BundleRecord.all(in: effects.places).values.compactMap { bundle in
            guard let index = bundle.wire, let wire = NetworkPlan(index: index),
                let revision = document(bundle.key)?.revision
            else { return nil }
            return WireEnd(
                key: bundle.key, wire: wire, revision: revision, holdsPorts: bundle.holdsPorts,
                launchedMilliseconds: bundle.launch?.sinceMilliseconds ?? 0)
        }
        return (own + instances).sorted { $0.wire.index < $1.wire.index }
    }

    /// Loads the rules that changed, all in one transaction.
    private func apply(_ rules: [Int: Firewall]) throws {
        let changed = rules.mapValues(\.rules).filter { applied[$0.key] != $0.value }.sorted { $0.key < $1.key }
        try wires.apply(changed.map(\.value))
        for (index, text) in changed { applied[index] = text }
    }

    /// After every step: who is there decides who reaches whom.
    func applyRules(_ bundles: [RevisionKey: BundleRecord]) {
        let ends = ends()
        do {
            if !ends.isEmpty, !hasNetwork {
                // The agent began anew while workloads run: their rules stand, and are loaded again with the guard.
                try wires.prepareNode()
                hasNetwork = true
            }
            try apply(WireRules.all(ends))
            for key in bundles.keys {
                guard let workload = document(key), workload.revision.kind != .vm, !workload.revision.links.isEmpty
                else { continue }
                let isFunction = workload.revision.kind == .function
                let wire = isFunction ? nil : ends.first { $0.key == key }?.wire
                try workbench.update(hosts: WireRules.hosts(workload, wire: wire, ends: ends), of: key)
            }
            for end in ends { try serveNames(end) }
        } catch {
            tell("rules", "\(error)")
        }
    }
}
