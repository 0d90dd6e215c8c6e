internal import CLinux
internal import Glibc

/// A thread of its own for work that blocks, such as a long poll: started at once, joined or left alone.
public struct WorkerThread: ~Copyable {
    private let handle: pthread_t

    private final class Body {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }

    /// Starts a thread, with 512 KiB of stack, that runs `work` once.
    /// - Throws: `SystemError` where the system has no thread left, see pthread_create(3).
    public init(_ work: @escaping @Sendable () -> Void) throws(SystemError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 512 << 10)
        let body = Unmanaged.passRetained(Body(work))
        var handle = pthread_t()
        let result = pthread_create(&handle, &attributes, WorkerThread.start, body.toOpaque())
        guard result == 0 else {
            body.release()
            throw SystemError("start a thread", code: result)
        }
        self.handle = handle
    }

    private static let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().work() }
        return nil
    }

    /// Waits until the work is done.
    public consuming func join() { pthread_join(handle, nil) }

    /// Leaves the thread to end by itself.
    public consuming func detach() { pthread_detach(handle) }
}
