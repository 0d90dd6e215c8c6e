import TestSupport
import Testing

@testable import Workloads

@Suite struct RuntimeRequests {
    @Test func thePathsOfTheInterfaceAreKnown() throws {
        let base = "/2018-06-01/runtime"
        #expect(try RuntimeRequest(method: "GET", path: "\(base)/invocation/next") == .next)
        #expect(
            try RuntimeRequest(method: "POST", path: "\(base)/invocation/a-1/response")
                == .response(id: "a-1", isStreaming: false))
        #expect(
            try RuntimeRequest(
                method: "POST", path: "\(base)/invocation/a-1/response",
                headers: ["lambda-runtime-function-response-MODE": "streaming"])
                == .response(id: "a-1", isStreaming: true))
        #expect(
            try RuntimeRequest(
                method: "POST", path: "\(base)/invocation/a-1/error",
                headers: ["Lambda-Runtime-Function-Error-Type": "My.Error"]) == .error(id: "a-1", type: "My.Error"))
        #expect(try RuntimeRequest(method: "POST", path: "\(base)/init/error") == .initError(type: ""))
    }

    @Test(arguments: [
        ("GET", "/"), ("GET", "/2018-06-01/runtime/invocation/next/"), ("POST", "/2018-06-01/runtime/invocation/next"),
        ("GET", "/2018-06-01/runtime/invocation/a/response"), ("POST", "/2018-06-01/runtime/invocation/../response"),
        ("POST", "/2018-06-01/runtime/invocation//response"), ("POST", "/2018-06-01/runtime/invocation/a%2f/error"),
        ("POST", "/2018-06-01/runtime/init/response"), ("GET", "/2015-03-31/functions"),
        ("POST", "/2018-06-01/runtime/invocation/\(String(repeating: "a", count: 300))/error"),
    ])
    func anythingElseIsRefused(_ method: String, _ path: String) {
        #expect(throws: RuntimeRequest.Refusal.self) { try RuntimeRequest(method: method, path: path) }
    }
}

@Suite struct FunctionPools {
    static func pool(concurrency: Int = 1, queue: Int = 1) -> FunctionPool {
        var settings = FunctionSettings()
        settings.concurrency = concurrency
        settings.queue = queue
        settings.idleMilliseconds = 60_000
        return FunctionPool(settings)
    }

    static func call(_ id: String, at now: Int64) -> FunctionCall {
        FunctionCall(id: id, deadlineMilliseconds: now + 3000)
    }

    @Test func aCallStartsAnInstanceThatIsFrozenAndThawed() {
        var pool = Self.pool()
        #expect(pool.call("a", 0) == [.start(1)])
        // A slow start is not taken from the call's time.
        #expect(pool.requested(1, .next, 5000).actions == [.instance(1, .deliver(Self.call("a", at: 5000)))])
        let (reply, actions) = pool.requested(1, .response(id: "a", isStreaming: false), 5100)
        #expect(reply.status == 202 && actions == [.instance(1, .complete("a", .succeeded))])
        #expect(pool.requested(1, .next, 5200).actions == [.instance(1, .freeze)])
        #expect(
            pool.call("b", 6000) == [.instance(1, .thaw), .instance(1, .deliver(Self.call("b", at: 6000)))])
        _ = pool.requested(1, .error(id: "b", type: "X"), 6100)
        _ = pool.requested(1, .next, 6200)
        #expect(pool.dueMilliseconds == 66_200)
        #expect(pool.timePassed(66_200) == [.instance(1, .kill)])
        #expect(pool.counts == (0, 0))
    }

    @Test func aCallThatTakesTooLongIsKilledAndTheNextMeetsAFreshInstance() {
        var pool = Self.pool()
        _ = pool.call("a", 0)
        _ = pool.requested(1, .next, 100)
        #expect(pool.call("b", 200) == [])
        let message = "RequestId: a Error: Task timed out after 3.00 seconds"
        #expect(
            pool.timePassed(3100) == [
                .instance(1, .kill), .instance(1, .complete("a", .ended(type: "Sandbox.Timedout", message: message))),
                .start(2),
            ])
        // What the old one still says is not heard.
        #expect(pool.requested(1, .response(id: "b", isStreaming: false), 3200).reply.status == 403)
        #expect(pool.requested(2, .next, 3300).actions == [.instance(2, .deliver(Self.call("b", at: 3300)))])
    }

    @Test func aCrashIsTheCallsAndNobodyElses() {
        var pool = Self.pool(concurrency: 2)
        _ = pool.call("a", 0)
        _ = pool.call("b", 0)
        _ = pool.requested(1, .next, 1)
        _ = pool.requested(2, .next, 1)
        let outcome = FunctionOutcome.ended(
            type: "Runtime.ExitError", message: "RequestId: a Error: Runtime exited with error: exit status 1")
        #expect(
            pool.exited(1, "with error: exit status 1", 2)
                == [.instance(1, .kill), .instance(1, .complete("a", outcome))])
        #expect(
            pool.requested(2, .response(id: "b", isStreaming: false), 3).actions
                == [.instance(2, .complete("b", .succeeded))])
    }

    @Test func aFullQueueRefusesClearly() {
        var pool = Self.pool(concurrency: 1, queue: 1)
        _ = pool.call("a", 0)
        #expect(pool.call("b", 0) == [])
        #expect(pool.call("c", 0) == [.refuse("c", reason: "all 1 instances are busy and 1 calls wait already")])
        let message = "RequestId: b Error: no instance became free in time"
        #expect(pool.timePassed(3000) == [.complete("b", .ended(type: "Sandbox.Timedout", message: message))])
    }

    @Test func errorsOfInitialisationEndTheInstance() {
        var pool = Self.pool()
        _ = pool.call("a", 0)
        let (reply, actions) = pool.requested(1, .initError(type: "No.Handler"), 10)
        #expect(reply.status == 202)
        #expect(
            actions == [.instance(1, .kill), .instance(1, .complete("a", .failed(type: "No.Handler")))])
        _ = pool.call("b", 20)
        #expect(pool.timePassed(10_020).first == .instance(2, .kill))
        #expect(pool.counts == (0, 0))
    }

    @Test func wrongOrderIsRefusedAsTheInterfaceSays() {
        var pool = Self.pool()
        _ = pool.call("a", 0)
        #expect(pool.requested(1, .response(id: "a", isStreaming: false), 1).reply.status == 403)
        _ = pool.requested(1, .next, 2)
        #expect(pool.requested(1, .response(id: "z", isStreaming: false), 3).reply.type == "InvalidRequestID")
        #expect(pool.requested(1, .initError(type: ""), 4).reply.status == 403)
        #expect(pool.requested(1, .response(id: "a", isStreaming: true), 5).actions == [])
        #expect(pool.requested(1, .response(id: "a", isStreaming: false), 6).reply.status == 403)
        #expect(
            pool.streamEnded(1, .failed(type: "Late"), 7).actions
                == [.instance(1, .complete("a", .failed(type: "Late")))])
        #expect(pool.requested(9, .next, 8).reply.status == 403)
    }

    /// Fifty at once and whatever the functions do: each call ends exactly once, and the bounds hold.
    @Test(arguments: 0..<16) func everyCallEndsOnce(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var pool = Self.pool(concurrency: 5, queue: 20)
        var now: Int64 = 0
        var ended: [String: Int] = [:]
        var given: [Int: String] = [:]
        var calls = 0
        func take(_ actions: [FunctionPool.Action]) {
            for action in actions {
                switch action {
                case .refuse(let id, _), .complete(let id, _): ended[id, default: 0] += 1
                case .instance(_, .complete(let id, _)): ended[id, default: 0] += 1
                case .instance(let number, .deliver(let call)): given[number] = call.id
                default: break
                }
            }
        }
        for _ in 0..<600 {
            now += Int64.random(in: 0...400, using: &random)
            let number = pool.instances.keys.sorted().randomElement(using: &random) ?? 0
            let id = Int.random(in: 0..<8, using: &random) == 0 ? "wrong" : given[number] ?? "none"
            switch Int.random(in: 0..<8, using: &random) {
            case 0, 1:
                calls += 1
                take(pool.call("c\(calls)", now))
            case 2, 3: take(pool.requested(number, .next, now).actions)
            case 4:
                take(pool.requested(number, .response(id: id, isStreaming: Bool.random(using: &random)), now).actions)
            case 5: take(pool.streamEnded(number, .succeeded, now).actions)
            case 6: take(Int.random(in: 0..<4, using: &random) == 0 ? pool.exited(number, "gone", now) : [])
            default: take(pool.timePassed(now))
            }
            #expect(pool.counts.instances <= 5 && pool.counts.queued <= 20)
        }
        for _ in 0..<100 {
            now += 5000
            take(pool.timePassed(now))
        }
        #expect(ended.count == calls && ended.values.allSatisfy { $0 == 1 })
        #expect(pool.counts == (0, 0) && pool.dueMilliseconds == nil)
    }
}

@Suite struct CronSchedules {
    /// 1 January 2026 00:00 UTC, a Thursday.
    static let newYear: Int64 = 1_767_225_600

    @Test(
        arguments: [
            ("* * * * *", 60), ("*/15 * * * *", 900), ("30 4 * * *", 16_200), ("0 0 * * mon", 4 * 86_400),
            ("0 0 * * 7", 3 * 86_400), ("0 0 1 2 *", 31 * 86_400), ("0 12 15,20 jan *", 14 * 86_400 + 43_200),
            ("@hourly", 3600), ("@yearly", 365 * 86_400), ("rate(5 minutes)", 300), ("rate(1 day)", 86_400),
            ("0 0 29 2 *", (365 + 365 + 31 + 28) * 86_400), ("5-10/5 0 * * *", 300),
            ("59 23 31 12 *", 365 * 86_400 - 60),
            // Where both days are restricted, either suffices: Friday comes before the 13th.
            ("0 0 13 * fri", 86_400),
        ] as [(String, Int64)])
    func theNextTimeIsTheFirstThatMatches(_ text: String, _ later: Int64) throws {
        #expect(try CronSchedule(text).next(after: Self.newYear) == Self.newYear + later)
    }

    @Test(arguments: [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *",
        "*/61 * * * *",
        "5-1 * * * *", "a * * * *", "1,,2 * * * *", "-1 * * * *", "0 0 30 2 *", "rate(0 minutes)", "rate(5 weeks)",
        "1--2 * * * *", "+1 * * * *",
    ])
    func whatNeverComesOrMeansNothingIsRefused(_ text: String) {
        #expect(throws: CronSchedule.Refusal.self) { try CronSchedule(text) }
    }

    @Test func timesGoUpAndAreWholeMinutes() throws {
        var random = SeededGenerator(seed: 5)
        for text in ["*/7 */3 * * *", "0 0 31 * *", "3 3 * * 1-5"] {
            let schedule = try CronSchedule(text)
            for _ in 0..<50 {
                let after = Int64.random(in: 0...4_000_000_000, using: &random)
                let next = try #require(schedule.next(after: after))
                #expect(next > after && next.isMultiple(of: 60) && schedule.next(after: next - 1) == next)
            }
        }
    }
}
