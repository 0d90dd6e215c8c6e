internal import Contract
internal import Linux
internal import Workloads

/// A call from its beginning until its caller was answered.
final class FunctionInvocation {
    let id: String
    let trace: String
    /// The event; empty once it was handed over.
    var event: [UInt8]
    /// Who waits for the answer; nil for nobody.
    weak var caller: HTTPConnection?
    /// When it was handed to an instance, in milliseconds of this boot.
    var delivered: Int64?
    /// What the instance's initialisation took, where the call waited for that.
    var initialisation: Int64?
    /// Bytes of the node's memory that are set aside for its event.
    var reservedBytes = 0
    /// What the function returned, or said of its error.
    var returned: [UInt8] = []
    /// The response's stream.
    var stream: FunctionStream?
    /// Whether the caller has been sent a status.
    var hasAnswered = false

    init(id: String, trace: String, event: [UInt8], caller: HTTPConnection?) {
        self.id = id
        self.trace = trace
        self.event = event
        self.caller = caller
    }
}

/// One sandbox of a function, from its order to the last of its files.
final class FunctionSandbox {
    let key: InstanceKey
    /// When it was asked for, in milliseconds of this boot.
    let ordered: Int64
    var wire: NetworkPlan?
    /// Where its runtime client connects to.
    var listener: HeldDescriptor?
    /// Becomes readable when it ends.
    var process: HeldDescriptor?
    /// The connection on which it waits for a call.
    var waiting: HTTPConnection?
    /// A call that comes as soon as it asks again.
    var pending: FunctionCall?
    /// Since when it is to end, in milliseconds of this boot; nil while it may go on.
    var doomed: Int64?
    var hasEnded = false
    var isFrozen = false
    /// Calls that it was handed.
    var deliveries = 0

    init(_ key: InstanceKey, ordered: Int64) {
        self.key = key
        self.ordered = ordered
    }
}

/// One revision of a function that takes calls.
final class ServedFunction {
    let order: FunctionOrder
    var pool: FunctionPool
    var calls: [String: FunctionInvocation] = [:]
    var sandboxes: [Int: FunctionSandbox] = [:]
    var counts = FunctionCounts()
    /// When what is left of it is ended, in milliseconds of this boot; nil while it takes calls.
    var retired: Int64?
    private(set) var ticks: [Tick] = []

    /// A schedule and when it comes next, in seconds since 1970.
    struct Tick {
        var schedule: CronSchedule
        var expression: String
        var next: Int64?
    }

    init(_ order: FunctionOrder, nowSeconds: Int64) {
        self.order = order
        pool = FunctionPool(order.settings)
        ticks = order.settings.schedules.compactMap { expression in
            // Documents with others are refused.
            (try? CronSchedule(expression)).map {
                Tick(schedule: $0, expression: expression, next: $0.next(after: nowSeconds))
            }
        }
    }

    var key: RevisionKey { order.key }
    var name: String { order.key.workload.rawValue }
    /// What its lines in the log are marked with.
    var log: String { "\(order.key.workload)-\("\(order.key.revision)".prefix(12))" }

    /// Expressions whose time has come, each once however often it was missed.
    func due(_ nowSeconds: Int64) -> [String] {
        var found: [String] = []
        for index in ticks.indices {
            guard let next = ticks[index].next, next <= nowSeconds else { continue }
            found.append(ticks[index].expression)
            ticks[index].next = ticks[index].schedule.next(after: nowSeconds)
        }
        return found
    }

    /// The clock was set back.
    func rescheduled(_ nowSeconds: Int64) {
        for index in ticks.indices { ticks[index].next = ticks[index].schedule.next(after: nowSeconds) }
    }

    /// What remains of a path below the function's own; nil where it belongs to none of its.
    func path(below path: String) -> String? {
        guard let own = order.settings.urlPath else { return nil }
        if own == "/" { return path }
        guard path.hasPrefix(own) else { return nil }
        let rest = path.dropFirst(own.count)
        return rest.isEmpty ? "/" : rest.hasPrefix("/") ? String(rest) : nil
    }

    /// Its numbers, with what is there now.
    var countsNow: FunctionCounts {
        var counts = counts
        (counts.instances, counts.queued) = pool.counts
        return counts
    }
}
