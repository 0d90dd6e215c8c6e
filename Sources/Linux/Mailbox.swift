internal import CLinux
internal import Glibc
import Synchronization

/// Messages from several threads to one, bounded; waiting for them can end at a deadline.
public final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    private let limit: Int
    private let wakeUp: Int32

    /// Makes an empty mailbox that holds at most `limit` messages.
    /// - Throws: `SystemError` where the system has no descriptor left, see eventfd(2).
    public init(limit: Int = 256) throws(SystemError) {
        self.limit = limit
        wakeUp = apus_wakeup()
        guard wakeUp >= 0 else { throw SystemError("make an eventfd", code: errno) }
    }

    deinit { Glibc.close(wakeUp) }

    /// A descriptor that is readable once a message waits, to be lent to poll(2); `take` resets it.
    public var descriptor: Int32 { wakeUp }

    /// Adds a message; false where the mailbox is full, and the message is dropped.
    @discardableResult
    public func post(_ message: Message) -> Bool {
        let isAccepted = messages.withLock { messages in
            guard messages.count < limit else { return false }
            messages.append(message)
            return true
        }
        var one: UInt64 = 1
        _ = Glibc.write(wakeUp, &one, 8)
        return isAccepted
    }

    /// Takes all messages, oldest first; waits for the first at most `milliseconds`.
    public func take(waitingMilliseconds milliseconds: Int) -> [Message] {
        let waiting = takeNow()
        if !waiting.isEmpty { return waiting }
        var poller = pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)
        _ = poll(&poller, 1, Int32(clamping: max(0, milliseconds)))
        var count: UInt64 = 0
        _ = Glibc.read(wakeUp, &count, 8)
        return takeNow()
    }

    private func takeNow() -> [Message] {
        messages.withLock { messages in
            defer { messages.removeAll(keepingCapacity: true) }
            return messages
        }
    }
}
