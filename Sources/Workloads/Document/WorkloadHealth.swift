/// How a workload shows that it is healthy. Field names and defaults are those of the Compose Specification.
public struct HealthCheck: Sendable, Hashable {
    /// What is asked.
    public var probe: Probe
    /// `interval`: between two questions, in milliseconds. Default 30 s.
    public var intervalMilliseconds: Int64 = 30_000
    /// `timeout`: how long an answer may take, in milliseconds. Default 30 s.
    public var timeoutMilliseconds: Int64 = 30_000
    /// `retries`: failures in a row that make it unhealthy. Default 3.
    public var retries = 3
    /// `start_period`: how long failures after a start do not count, in milliseconds. Default none.
    public var startPeriodMilliseconds: Int64 = 0
    /// `start_interval`: between two questions in the start period, in milliseconds. Default 5 s.
    public var startIntervalMilliseconds: Int64 = 5000

    /// The kinds of question.
    public enum Probe: Sendable, Hashable {
        /// `test`: a command inside the workload; healthy where it ends with 0.
        case command([String])
        /// `http`: a request to a port of the workload; healthy for a status from 200 to 399.
        case http(port: UInt16, path: String)
        /// `tcp`: a connection to a port of the workload.
        case tcp(port: UInt16)
    }

    /// Makes a check with the default times.
    public init(probe: Probe) { self.probe = probe }

    init?(_ item: DocumentItem) {
        guard var reader = DocumentReader(item) else { return nil }
        let isDisabled = reader.take("disable")?.flag() ?? false
        let given = ["test", "http", "tcp"].compactMap { reader.take($0) }
        let probe = given.first.flatMap { Self.probe($0) }
        self.init(probe: probe ?? .command([]))
        let times: ClosedRange<Int64> = 100...86_400_000
        intervalMilliseconds = reader.take("interval")?.milliseconds(times) ?? intervalMilliseconds
        timeoutMilliseconds = reader.take("timeout")?.milliseconds(times) ?? timeoutMilliseconds
        retries = reader.take("retries")?.integer(1...100) ?? retries
        startPeriodMilliseconds = reader.take("start_period")?.milliseconds(0...86_400_000) ?? startPeriodMilliseconds
        startIntervalMilliseconds = reader.take("start_interval")?.milliseconds(times) ?? startIntervalMilliseconds
        reader.finish()
        if isDisabled || Self.isNone(given.first) { return nil }
        guard given.count == 1 else {
            item.fail("allowed is exactly one of test, http and tcp")
            return nil
        }
        if probe == nil { return nil }
    }

    private static func isNone(_ item: DocumentItem?) -> Bool { item?.value == .array([.string("NONE")]) }

    private static func probe(_ item: DocumentItem) -> Probe? {
        if item.path.hasSuffix(".test") { return test(item) }
        guard var reader = DocumentReader(item) else { return nil }
        let port = reader.require("port", "a port of the workload")?.port()
        guard item.path.hasSuffix(".http") else {
            reader.finish()
            return port.map { .tcp(port: $0) }
        }
        let path = reader.take("path")?.parsed("a path that begins with / and has no spaces") { text in
            text.hasPrefix("/") && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? text : nil
        }
        reader.finish()
        return port.map { .http(port: $0, path: path ?? "/") }
    }

    private static func test(_ item: DocumentItem) -> Probe? {
        if case .string(let text) = item.value { return .command(["/bin/sh", "-c", text]) }
        guard let words = item.list(limit: 256)?.compactMap({ $0.text() }), let first = words.first else { return nil }
        switch (first, words.count) {
        case ("NONE", 1): return nil
        case ("CMD", 2...): return .command(Array(words.dropFirst()))
        case ("CMD-SHELL", 2): return .command(["/bin/sh", "-c", words[1]])
        default:
            item.fail("allowed is [\"CMD\", program, argument…], [\"CMD-SHELL\", line], [\"NONE\"] or a shell's line")
            return nil
        }
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = [
            "interval": .string(WorkloadUnits.text(milliseconds: intervalMilliseconds)),
            "timeout": .string(WorkloadUnits.text(milliseconds: timeoutMilliseconds)),
            "retries": .integer(Int64(retries)),
            "start_period": .string(WorkloadUnits.text(milliseconds: startPeriodMilliseconds)),
            "start_interval": .string(WorkloadUnits.text(milliseconds: startIntervalMilliseconds)),
        ]
        switch probe {
        case .command(let words): fields["test"] = .array((["CMD"] + words).map { .string($0) })
        case .http(let port, let path):
            fields["http"] = .object(["port": .integer(Int64(port)), "path": .string(path)])
        case .tcp(let port): fields["tcp"] = .object(["port": .integer(Int64(port))])
        }
        return .object(fields)
    }
}

/// What happens when a workload ends by itself.
public struct RestartPolicy: Sendable, Hashable {
    /// `restart`, or `deploy.restart_policy.condition`. Default always.
    public var condition = Condition.always
    /// `max_attempts`: restarts in a row before it is given up; nil never gives up. Default 10 a window.
    public var maximumAttempts: Int? = 10
    /// `delay`: before the first restart, in milliseconds; each further one in a row waits twice as long. Default 1 s.
    public var delayMilliseconds: Int64 = 1000
    /// `max_delay`: the longest wait, in milliseconds. Default 5 minutes.
    public var maximumDelayMilliseconds: Int64 = 300_000
    /// `window`: running this long ends the row, in milliseconds. Default 10 minutes.
    public var windowMilliseconds: Int64 = 600_000

    /// When it is started again.
    public enum Condition: String, Sendable, Hashable, CaseIterable {
        /// However it ended.
        case always
        /// After a failure.
        case onFailure = "on-failure"
        /// Never.
        case no
    }

    /// The defaults.
    public init() {}

    init(restart: DocumentItem?, deploy: DocumentItem?) {
        self.init()
        if let restart { read(restart) }
        guard let deploy, var reader = DocumentReader(deploy) else { return }
        if let item = reader.take("condition") {
            if restart != nil { item.fail("stands beside 'restart'; allowed is one of the two") }
            switch item.value {
            case .string("any"): condition = .always
            case .string("on-failure"): condition = .onFailure
            case .string("none"): condition = .no
            default: item.fail("allowed is one of any, on-failure, none")
            }
        }
        let times: ClosedRange<Int64> = 100...86_400_000
        if let item = reader.take("max_attempts") {
            maximumAttempts = item.integer(0...1_000_000).flatMap { $0 == 0 ? nil : $0 }
        }
        delayMilliseconds = reader.take("delay")?.milliseconds(times) ?? delayMilliseconds
        maximumDelayMilliseconds = reader.take("max_delay")?.milliseconds(times) ?? maximumDelayMilliseconds
        windowMilliseconds = reader.take("window")?.milliseconds(1000...86_400_000) ?? windowMilliseconds
        reader.finish()
        if delayMilliseconds > maximumDelayMilliseconds { deploy.fail("delay is above max_delay") }
    }

    private mutating func read(_ item: DocumentItem) {
        guard case .string(let text) = item.value else {
            item.fail("allowed is one of \"no\", always, on-failure, on-failure:N and unless-stopped; put it in quotes")
            return
        }
        switch text {
        case "no": condition = .no
        // A workload that was stopped is one that the server does not want to run: it comes back in neither case.
        case "always", "unless-stopped": condition = .always
        case "on-failure": condition = .onFailure
        default:
            guard text.hasPrefix("on-failure:"), let times = Int(text.dropFirst(11)), (1...1_000_000).contains(times)
            else {
                item.fail("allowed is one of \"no\", always, on-failure, on-failure:N and unless-stopped")
                return
            }
            condition = .onFailure
            maximumAttempts = times
        }
    }

    /// The fields below `deploy.restart_policy`.
    var value: DocumentValue {
        let condition =
            switch condition {
            case .always: "any"
            case .onFailure: "on-failure"
            case .no: "none"
            }
        return .object([
            "condition": .string(condition), "max_attempts": .integer(Int64(maximumAttempts ?? 0)),
            "delay": .string(WorkloadUnits.text(milliseconds: delayMilliseconds)),
            "max_delay": .string(WorkloadUnits.text(milliseconds: maximumDelayMilliseconds)),
            "window": .string(WorkloadUnits.text(milliseconds: windowMilliseconds)),
        ])
    }
}
