import Linux
import Testing

@Suite struct MailboxTests {
    @Test func messagesOfAnotherThreadArriveInOrder() throws {
        let mailbox = try Mailbox<Int>(limit: 1000)
        let thread = try WorkerThread { for number in 0..<500 { mailbox.post(number) } }
        var received: [Int] = []
        for _ in 0..<500 where received.count < 500 { received += mailbox.take(waitingMilliseconds: 10_000) }
        thread.join()
        #expect(received == Array(0..<500))
    }

    @Test func waitingEndsWithoutAMessage() throws {
        #expect(try Mailbox<Int>().take(waitingMilliseconds: 1).isEmpty)
    }

    @Test func aFullMailboxRefuses() throws {
        let mailbox = try Mailbox<Int>(limit: 2)
        #expect(mailbox.post(1))
        #expect(mailbox.post(2))
        #expect(!mailbox.post(3))
        #expect(mailbox.take(waitingMilliseconds: 0) == [1, 2])
    }
}
