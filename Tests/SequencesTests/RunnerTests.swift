import Contract
import Decisions
import Testing

@testable import Sequences

@Suite struct RunnerBehaviour {
    private final class Context {
        var done: [String] = []
        var failures = 0
        var isOver = false
    }
    private struct Hiccup: Error, CustomStringConvertible { let description = "it is raining" }

    private func failing(_ times: Int) -> (Context) throws -> Void {
        { context in
            guard context.failures >= times else {
                context.failures += 1
                throw Hiccup()
            }
            context.done.append("done")
        }
    }

    @Test func stepsRunInOrderAndAreReported() throws {
        let recorder = Recorder()
        let context = Context()
        let sequence = StepSequence<Context>(
            "demo",
            [
                Step("one") { $0.done.append("one") },
                Step("two", skip: { _ in "not today" }) { $0.done.append("two") },
                Step("three") { $0.done.append("three") },
            ])
        try recorder.runner.run(sequence, on: context)
        #expect(context.done == ["one", "three"])
        #expect(recorder.reports.map(\.step) == ["one", "one", "two", "three", "three"])
        #expect(recorder.reports.map(\.state) == [.started, .finished, .skipped, .started, .finished])
        #expect(recorder.reports[2].detail == "not today")
        #expect(recorder.reports.allSatisfy { $0.sequence == "demo" })
    }

    @Test func aSequenceMayEndEarly() throws {
        let context = Context()
        let sequence = StepSequence<Context>(
            "demo", endsWhen: { $0.isOver }, [Step("one") { $0.isOver = true }, Step("two") { $0.done.append("two") }])
        try Recorder().runner.run(sequence, on: context)
        #expect(context.done.isEmpty)
    }

    @Test func aFailureSaysWhatFailedAndWhatHappensNext() {
        let recorder = Recorder()
        let sequence = StepSequence<Context>(
            "demo", [Step("one", otherwise: "the machine restarts", run: failing(1)), Step("two") { _ in }])
        do {
            try recorder.runner.run(sequence, on: Context())
            Issue.record("it went on")
        } catch {
            #expect("\(error)" == "demo: one failed: it is raining; the machine restarts")
        }
        #expect(recorder.reports.map(\.state) == [.started, .failed])
        #expect(recorder.lines == ["demo: one failed: it is raining; the machine restarts"])
    }

    @Test func repetitionsAreBoundedAndWaitLongerEachTime() throws {
        let recorder = Recorder()
        let sequence = StepSequence<Context>("demo", [Step("one", retry: .times(4), run: failing(3))])
        try recorder.runner.run(sequence, on: Context())
        #expect(recorder.waits == [750, 1500, 3000])
        let bounded = StepSequence<Context>("demo", [Step("one", retry: .times(3), run: failing(3))])
        #expect(throws: StepError.self) { try Recorder().runner.run(bounded, on: Context()) }
    }

    @Test func waitingForEverWaitsAMinuteAtMost() throws {
        let recorder = Recorder()
        let sequence = StepSequence<Context>("demo", [Step("one", retry: .forever, run: failing(40))])
        try recorder.runner.run(sequence, on: Context())
        #expect(recorder.waits.count == 40)
        #expect(recorder.waits.allSatisfy { $0 <= 60_000 })
        #expect(Retry.delayMilliseconds(afterAttempt: 10_000, random: { $0 - 1 }) == 60_000)
    }

    @Test func whatNoRepetitionCuresIsNotRepeated() {
        let recorder = Recorder()
        let sequence = StepSequence<Context>(
            "demo", [Step("one", retry: .forever) { (_: Context) in throw Refusal("take a larger disk") }])
        #expect(throws: StepError.self) { try recorder.runner.run(sequence, on: Context()) }
        #expect(recorder.waits.isEmpty)
        for error in [
            PlanRefusal.otherRelease, PartitionRefusal("x"), RecordTransitionError.noTrial,
        ] as [any Error] {
            #expect(error is any PermanentError)
        }
    }

    @Test func progressIsReportedOnceASecondAndAtTheEnd() throws {
        let recorder = Recorder()
        let sequence = StepSequence<Context>(
            "demo",
            [
                Step("one") { (_: Context, progress: StepProgress) in
                    for done in 1...100 as ClosedRange<UInt64> {
                        recorder.milliseconds += 50
                        progress(done, 100)
                    }
                }
            ])
        try recorder.runner.run(sequence, on: Context())
        let progress = recorder.reports.filter { $0.state == .progress }
        #expect(progress.map(\.done) == [20, 40, 60, 80, 100])
        #expect(progress.allSatisfy { $0.total == 100 && $0.unit == "bytes" })
    }
}
