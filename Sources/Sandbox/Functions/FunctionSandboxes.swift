internal import Contract
internal import Linux
internal import Workloads

/// What the pools decide, carried out: calls, and the sandboxes that answer them.
extension FunctionLoop {
    /// Begins a call.
    func invoke(
        _ function: ServedFunction, _ id: String, event: [UInt8], caller: HTTPConnection?, _ now: Int64
    ) {
        let random = (try? Randomness.bytes(12)) ?? [UInt8](repeating: 0, count: 12)
        let trace = RuntimeReply.trace(seconds: Clock.realtimeSeconds(), random: random)
        let call = FunctionInvocation(id: id, trace: trace, event: event, caller: caller)
        // The event stays when its caller goes.
        call.reservedBytes = caller?.reservedBytes ?? 0
        caller?.reservedBytes = 0
        function.calls[id] = call
        perform(function.pool.call(id, now), function, now)
    }

    func perform(_ actions: [FunctionPool.Action], _ function: ServedFunction, _ now: Int64) {
        for action in actions {
            switch action {
            case .start(let number): order(InstanceKey(function: function.key, number: number), function, now)
            case .instance(let number, let action): perform(action, number, function, now)
            case .refuse(let id, let reason):
                function.counts.throttles += 1
                effects.log(function.log, "THROTTLED RequestId: \(id) \(reason)")
                guard let call = function.calls.removeValue(forKey: id) else { continue }
                release(call)
                refuse(call, reason, now)
            case .complete(let id, let outcome): complete(id, outcome, function, now)
            }
        }
    }

    private func perform(
        _ action: FunctionInstance.Action, _ number: Int, _ function: ServedFunction, _ now: Int64
    ) {
        if case .complete(let id, let outcome) = action { return complete(id, outcome, function, now) }
        guard let sandbox = function.sandboxes[number] else { return }
        switch action {
        case .deliver(let call): deliver(call, to: sandbox, function, now)
        case .freeze: freeze(sandbox, function, now)
        case .thaw: thaw(sandbox, function, now)
        case .kill: doom(sandbox, now)
        case .complete: break
        }
    }

    private func complete(_ id: String, _ outcome: FunctionOutcome, _ function: ServedFunction, _ now: Int64) {
        guard let call = function.calls.removeValue(forKey: id) else { return }
        release(call)
        let duration = call.delivered.map { now - $0 } ?? 0
        function.counts.count(outcome, durationMilliseconds: duration, isCold: call.initialisation != nil)
        if case .ended(_, let message) = outcome { effects.log(function.log, message) }
        effects.log(function.log, FunctionLogLine.end(id))
        effects.log(
            function.log,
            FunctionLogLine.report(
                id, duration: duration, memoryBytes: function.order.order.workload.revision.resources.memoryBytes,
                initialisation: call.initialisation, outcome: outcome))
        answer(call, outcome, now)
    }

    // MARK: Cold and warm

    func freeze(_ sandbox: FunctionSandbox, _ function: ServedFunction, _ now: Int64) {
        setFrozen(sandbox, true, function, now)
    }

    private func thaw(_ sandbox: FunctionSandbox, _ function: ServedFunction, _ now: Int64) {
        guard sandbox.isFrozen else { return }
        setFrozen(sandbox, false, function, now)
    }

    private func setFrozen(_ sandbox: FunctionSandbox, _ isFrozen: Bool, _ function: ServedFunction, _ now: Int64) {
        do {
            try effects.maker.units.setFrozen(effects.maker.unit(sandbox.key), isFrozen)
            sandbox.isFrozen = isFrozen
        } catch {
            // It would work on without a call, or never again: a call finds another one.
            tell("function '\(function.name)': \(error)")
            let how = "with error: it could not be \(isFrozen ? "frozen" : "thawed")"
            perform(function.pool.exited(sandbox.key.number, how, now), function, now)
        }
    }

    // MARK: Beginning

    private func order(_ key: InstanceKey, _ function: ServedFunction, _ now: Int64) {
        function.sandboxes[key.number] = FunctionSandbox(key, ordered: now)
        if function.order.needsWire {
            effects.post(.wireWanted(key))
        } else {
            queueStart(key)
        }
    }

    private func queueStart(_ key: InstanceKey) {
        startQueue.append(key)
        startNext()
    }

    private func startNext() {
        while starting.count < Self.startsLimit, !startQueue.isEmpty {
            let key = startQueue.removeFirst()
            guard let function = served[key.function], let sandbox = function.sandboxes[key.number] else { continue }
            guard sandbox.doomed == nil else {
                takeAway(sandbox)
                continue
            }
            starting.insert(key)
            let (order, wire, maker) = (function.order, sandbox.wire, effects.maker)
            work(key) { mailbox in
                // The thread that makes it moves into its network: another one starts it.
                let made = try Self.apart { try HeldDescriptor(maker.make(order, key, wire: wire)) }
                mailbox.post(.made(key, listener: made))
                mailbox.post(.started(key, process: HeldDescriptor(try maker.start(order, key, wire: wire))))
            }
        }
    }

    /// Has something done on a thread that nothing else uses, and waits for it.
    private static func apart(_ make: @escaping @Sendable () throws -> HeldDescriptor) throws -> HeldDescriptor {
        let results = try Mailbox<Result<HeldDescriptor, SandboxError>>(limit: 1)
        try WorkerThread {
            do { results.post(.success(try make())) } catch { results.post(.failure(SandboxError("\(error)"))) }
        }.join()
        guard let result = results.take(waitingMilliseconds: 0).first else { throw SandboxError("no thread answered") }
        return try result.get()
    }

    /// Does something that blocks on a thread of its own; a failure is the instance's.
    private func work(_ key: InstanceKey, _ work: @escaping @Sendable (Mailbox<FunctionMessage>) throws -> Void) {
        let mailbox = mailbox
        do {
            try WorkerThread {
                do { try work(mailbox) } catch { mailbox.post(.failed(key, "\(error)")) }
            }.detach()
        } catch {
            mailbox.post(.failed(key, "\(error)"))
        }
    }

    // MARK: Ending

    /// Ends a sandbox: what it still says is not heard.
    private func doom(_ sandbox: FunctionSandbox, _ now: Int64) {
        guard sandbox.doomed == nil, !sandbox.hasEnded else { return }
        sandbox.doomed = now
        disconnect(sandbox)
        if sandbox.process != nil { kill(sandbox) }
    }

    private func disconnect(_ sandbox: FunctionSandbox) {
        let owner = HTTPConnection.Owner.instance(sandbox.key.function, sandbox.key.number)
        sandbox.waiting = nil
        sandbox.listener = nil
        for connection in connections where connection.owner == owner { connection.close() }
    }

    private func kill(_ sandbox: FunctionSandbox) {
        let (key, maker) = (sandbox.key, effects.maker)
        // Where no thread can be had it is killed again later.
        try? WorkerThread { maker.kill(key) }.detach()
    }

    /// What did not end when it was killed is killed again.
    func killAgain(_ function: ServedFunction, _ now: Int64) {
        for sandbox in function.sandboxes.values {
            guard let since = sandbox.doomed, now - since >= 10_000, sandbox.process != nil else { continue }
            sandbox.doomed = now
            tell("an instance of function '\(function.name)' was killed and does not end")
            kill(sandbox)
        }
    }

    /// Its process is gone.
    func processEnded(_ sandbox: FunctionSandbox) {
        guard sandbox.process != nil else { return }
        sandbox.process = nil
        let (key, maker) = (sandbox.key, effects.maker)
        work(key) { mailbox in mailbox.post(.ended(key, maker.ending(key))) }
    }

    private func takeAway(_ sandbox: FunctionSandbox) {
        sandbox.hasEnded = true
        disconnect(sandbox)
        let (key, maker, mailbox) = (sandbox.key, effects.maker, mailbox)
        do {
            try WorkerThread {
                do {
                    try maker.remove(key)
                    mailbox.post(.removed(key, failure: nil))
                } catch {
                    mailbox.post(.removed(key, failure: "\(error)"))
                }
            }.detach()
        } catch {
            mailbox.post(.removed(key, failure: "\(error)"))
        }
    }

    // MARK: News of an instance

    func changed(_ message: FunctionMessage, _ now: Int64) {
        switch message {
        case .wired(let key, let wire, let failure):
            guard let (function, sandbox) = find(key) else { return effects.post(.instanceGone(key)) }
            sandbox.wire = wire
            if wire != nil { queueStart(key) } else { ended(sandbox, function, "with error: \(failure)", now) }
        case .made(let key, let listener):
            guard let (_, sandbox) = find(key), sandbox.doomed == nil else { return }
            sandbox.listener = listener
        case .started(let key, let process):
            starting.remove(key)
            startNext()
            guard let (_, sandbox) = find(key) else { return }
            sandbox.process = process
            if sandbox.doomed != nil { kill(sandbox) }
        case .failed(let key, let how):
            starting.remove(key)
            startNext()
            guard let (function, sandbox) = find(key) else { return }
            tell("an instance of function '\(function.name)' could not be started: \(how)")
            // Whatever was started of it ends.
            kill(sandbox)
            ended(sandbox, function, how, now)
        case .ended(let key, let how):
            guard let (function, sandbox) = find(key) else { return }
            ended(sandbox, function, how, now)
        case .removed(let key, let failure):
            guard let (function, sandbox) = find(key) else { return }
            if let failure { tell("function '\(function.name)': \(failure)") }
            function.sandboxes[key.number] = nil
            if sandbox.wire != nil { effects.post(.instanceGone(key)) }
        case .serve, .retire, .happened: break
        }
    }

    private func find(_ key: InstanceKey) -> (ServedFunction, FunctionSandbox)? {
        guard let function = served[key.function], let sandbox = function.sandboxes[key.number] else { return nil }
        return (function, sandbox)
    }

    private func ended(_ sandbox: FunctionSandbox, _ function: ServedFunction, _ how: String, _ now: Int64) {
        guard !sandbox.hasEnded else { return }
        sandbox.hasEnded = true
        perform(function.pool.exited(sandbox.key.number, how, now), function, now)
        takeAway(sandbox)
    }
}
