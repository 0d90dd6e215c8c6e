/// The instances of one function and the calls that wait for them: bounded in both. Times are milliseconds since 1970.
public struct FunctionPool: Sendable, Hashable {
    /// What is to be done.
    public enum Action: Sendable, Hashable {
        /// Start an instance with this number.
        case start(Int)
        /// Something for an instance.
        case instance(Int, FunctionInstance.Action)
        /// A call is refused at once: status 429, and why.
        case refuse(String, reason: String)
        /// A call's outcome where it never reached an instance.
        case complete(String, FunctionOutcome)
    }

    private let settings: FunctionSettings
    /// Instances by their numbers, which are never used again.
    private(set) var instances: [Int: FunctionInstance] = [:]
    private(set) var queue: [FunctionCall] = []
    private var nextNumber = 1
    /// Whether no more calls are taken.
    public private(set) var isRetired = false

    /// An empty pool.
    public init(_ settings: FunctionSettings) { self.settings = settings }

    /// Whether an instance waits for a call.
    public func isIdle(_ number: Int) -> Bool { instances[number]?.isIdle ?? false }

    /// Instances and waiting calls, for metrics.
    public var counts: (instances: Int, queued: Int) { (instances.count, queue.count) }

    /// When `timePassed` must be called at the latest; nil where nothing is due.
    public var dueMilliseconds: Int64? {
        let instances = instances.values.compactMap { instance in
            if case .idle(let since) = instance.state {
                since + settings.idleMilliseconds
            } else {
                instance.dueMilliseconds
            }
        }
        return (instances + queue.map(\.deadlineMilliseconds)).min()
    }

    /// Whether nothing is left of it.
    public var isEmpty: Bool { instances.isEmpty && queue.isEmpty }

    /// Takes no more calls; those that wait or run go on, and instances without one end.
    public mutating func retire() -> [Action] {
        isRetired = true
        return endIdle()
    }

    /// Ends everything at once; calls are told so.
    public mutating func endAll() -> [Action] {
        isRetired = true
        let waiting = queue.map { Action.complete($0.id, Self.shutDown($0.id)) }
        queue = []
        var actions: [Action] = []
        for number in instances.keys.sorted() {
            guard var instance = instances[number] else { continue }
            actions += instance.end().map { .instance(number, $0) }
            instances[number] = nil
        }
        return actions + waiting
    }

    static func shutDown(_ id: String) -> FunctionOutcome {
        .ended(type: "Sandbox.Shutdown", message: "RequestId: \(id) Error: the function was stopped")
    }

    private mutating func endIdle() -> [Action] {
        var actions: [Action] = []
        for number in instances.keys.sorted() {
            guard queue.isEmpty, var instance = instances[number], instance.isIdle else { continue }
            actions += instance.end().map { .instance(number, $0) }
            instances[number] = nil
        }
        return actions
    }

    /// Takes a call. It waits for an instance no longer than it may run.
    public mutating func call(_ id: String, _ now: Int64) -> [Action] {
        guard !isRetired else { return [.complete(id, Self.shutDown(id))] }
        let call = FunctionCall(id: id, deadlineMilliseconds: now + settings.timeoutMilliseconds)
        let mayStart = instances.count < settings.concurrency
        let hasIdle = instances.values.contains(where: \.isIdle)
        guard hasIdle || mayStart || queue.count < settings.queue else {
            return [
                .refuse(
                    id,
                    reason: "all \(settings.concurrency) instances are busy and \(settings.queue) calls wait already")
            ]
        }
        queue.append(call)
        return serve(now)
    }

    /// Takes a request of an instance's runtime client.
    public mutating func requested(
        _ number: Int, _ request: RuntimeRequest, _ now: Int64
    ) -> (reply: FunctionInstance.Reply, actions: [Action]) {
        guard var instance = instances[number] else { return (.wrongState, []) }
        let (reply, actions) = instance.requested(request, now)
        return (reply, settle(number, instance, actions, now))
    }

    /// The stream of an instance's response has ended.
    public mutating func streamEnded(
        _ number: Int, _ ending: FunctionOutcome, _ now: Int64
    ) -> (reply: FunctionInstance.Reply, actions: [Action]) {
        guard var instance = instances[number] else { return (.wrongState, []) }
        let (reply, actions) = instance.streamEnded(ending)
        return (reply, settle(number, instance, actions, now))
    }

    /// An instance's process ended by itself, or could not be started.
    public mutating func exited(_ number: Int, _ how: String, _ now: Int64) -> [Action] {
        guard var instance = instances[number] else { return [] }
        let actions = instance.exited(how)
        return settle(number, instance, actions, now)
    }

    /// Time has passed.
    public mutating func timePassed(_ now: Int64) -> [Action] {
        let late = queue.filter { $0.deadlineMilliseconds <= now }
        queue.removeAll { $0.deadlineMilliseconds <= now }
        var actions = late.map { call in
            Action.complete(
                call.id,
                .ended(
                    type: "Sandbox.Timedout", message: "RequestId: \(call.id) Error: no instance became free in time"))
        }
        for number in instances.keys.sorted() {
            guard var instance = instances[number] else { continue }
            let own = instance.timePassed(now, idleMilliseconds: settings.idleMilliseconds)
            actions += settle(number, instance, own, now)
        }
        return actions
    }

    /// Stores an instance after an event, or forgets it, and gives what became free to those who wait.
    private mutating func settle(
        _ number: Int, _ instance: FunctionInstance, _ actions: [FunctionInstance.Action], _ now: Int64
    ) -> [Action] {
        instances[number] = instance.hasEnded ? nil : instance
        return actions.map { .instance(number, $0) } + serve(now) + (isRetired ? endIdle() : [])
    }

    /// Gives waiting calls to idle instances, the warmest first, or to new ones.
    private mutating func serve(_ now: Int64) -> [Action] {
        var actions: [Action] = []
        while let call = queue.first {
            if let number = instances.filter(\.value.isIdle).keys.max(), var instance = instances[number] {
                queue.removeFirst()
                actions += instance.invoke(call, now).map { .instance(number, $0) }
                instances[number] = instance
            } else if instances.count < settings.concurrency {
                queue.removeFirst()
                instances[nextNumber] = FunctionInstance(
                    call: call, initDeadlineMilliseconds: now + settings.initTimeoutMilliseconds,
                    timeoutMilliseconds: settings.timeoutMilliseconds)
                actions.append(.start(nextNumber))
                nextNumber += 1
            } else {
                break
            }
        }
        return actions
    }
}
