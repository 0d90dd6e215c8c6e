import Glibc

/// A bounded queue between two threads: the sender waits while it is full, the receiver while it is empty.
///
/// `@unchecked Sendable`: every access to the state is between lock and unlock of `mutex`.
final class HandOff<Element: Sendable>: @unchecked Sendable {
    /// The receiver is gone.
    struct Closed: Error {}

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let limitBytes: Int
    private var waiting: [(element: Element, bytes: Int)] = []
    private var waitingBytes = 0
    private var end: Result<Void, any Error>?
    private var isClosed = false

    /// Makes an empty queue that holds elements of `limitBytes` together, or one that is larger.
    init(limitBytes: Int) {
        self.limitBytes = limitBytes
        mutex.initialize(to: pthread_mutex_t())
        changed.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        // The clock may be set while a transfer runs.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: () throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body()
    }

    /// Adds an element of a size, waiting for room; throws `Closed` once the receiver is gone.
    func send(_ element: Element, bytes: Int) throws {
        try locked {
            while !isClosed, !waiting.isEmpty, waitingBytes + bytes > limitBytes { pthread_cond_wait(changed, mutex) }
            if isClosed { throw Closed() }
            waiting.append((element, bytes))
            waitingBytes += bytes
        }
    }

    /// Says that nothing more comes, and why.
    func finish(_ result: Result<Void, any Error>) {
        locked { end = end ?? result }
    }

    /// What the receiver finds.
    enum Arrival {
        case element(Element)
        /// Nothing came within a second.
        case nothingYet
        case end
    }

    /// The next element, waiting for it at most about a second; throws what the sender finished with.
    func receive() throws -> Arrival {
        try locked {
            if waiting.isEmpty, end == nil {
                var deadline = timespec()
                clock_gettime(CLOCK_MONOTONIC, &deadline)
                deadline.tv_sec += 1
                while waiting.isEmpty, end == nil {
                    if pthread_cond_timedwait(changed, mutex, &deadline) == ETIMEDOUT { break }
                }
            }
            if waiting.isEmpty {
                guard let end else { return .nothingYet }
                try end.get()
                return .end
            }
            let first = waiting.removeFirst()
            waitingBytes -= first.bytes
            return .element(first.element)
        }
    }

    /// Ends it from the receiver's side.
    func close() { locked { isClosed = true } }
}
