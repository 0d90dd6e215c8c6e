import Contract
import Testing

@testable import Node

@Suite struct ReportQueueTests {
    func report(_ step: String, _ state: StepReport.State, done: UInt64? = nil) -> StepReport {
        StepReport(sequence: "provision", step: step, state: state, done: done, milliseconds: 1)
    }

    @Test func progressCollapsesIntoItsNewest() {
        let queue = ReportQueue()
        queue.add(report("stream-image", .started))
        for done in 1...100 { queue.add(report("stream-image", .progress, done: UInt64(done))) }
        queue.add(report("stream-image", .finished))
        let batch = queue.take()
        #expect(batch.steps.map(\.state) == [.started, .progress, .finished])
        #expect(batch.steps[1].done == 100)
        #expect(queue.isEmpty)
    }

    @Test func whatCouldNotBeSentComesFirstAgain() {
        let queue = ReportQueue()
        queue.add(report("mount", .finished))
        queue.add(line: "one")
        let batch = queue.take()
        queue.add(report("drivers", .finished))
        queue.add(line: "two")
        queue.putBack(batch)
        let again = queue.take()
        #expect(again.steps.map(\.step) == ["mount", "drivers"])
        #expect(again.log == "one\ntwo\n")
        #expect(queue.isEmpty)
    }

    @Test func aLongOutageDropsTheOldestLinesAndSaysSo() {
        let queue = ReportQueue()
        let line = String(repeating: "x", count: 1000)
        for _ in 0..<1000 { queue.add(line: line) }
        queue.add(line: String(repeating: "y", count: 1 << 20))
        let first = queue.take()
        #expect(first.log.hasPrefix("("))
        #expect(first.log.contains("older lines were dropped"))
        var sent = first.log.utf8.count
        var batches = 1
        while !queue.isEmpty && batches < 100 {
            let batch = queue.take()
            #expect(batch.log.utf8.count <= WireLimit.logChunk)
            sent += batch.log.utf8.count
            batches += 1
        }
        #expect(queue.isEmpty)
        #expect(sent < 600 << 10)
    }
}
