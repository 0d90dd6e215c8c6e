internal import CLinux
internal import Glibc

/// A message of the kernel about a device (`lib/kobject_uevent.c`).
public struct Uevent: Sendable, Equatable {
    /// `add`, `remove`, `change`, `bind` and so on.
    public var action: String
    /// The device's path below `/sys`, such as `/devices/pci0000:00/…`.
    public var path: String
    /// What kind of device, such as `block`.
    public var subsystem: String
    /// All fields, by name.
    public var fields: [String: String]

    /// Parses `action@path\0NAME=value\0…`; nil for anything else.
    public init?(message: some Collection<UInt8>) {
        let parts = message.split(separator: 0)
        guard let head = parts.first, let at = head.firstIndex(of: UInt8(ascii: "@")), parts.count <= 128 else {
            return nil
        }
        var fields: [String: String] = [:]
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: UInt8(ascii: "=")) else { continue }
            fields[String(decoding: part[..<equals], as: UTF8.self)] =
                String(decoding: part[part.index(after: equals)...], as: UTF8.self)
        }
        guard let action = fields["ACTION"], let path = fields["DEVPATH"],
            action.utf8.elementsEqual(head[..<at]), path.utf8.elementsEqual(head[head.index(after: at)...])
        else { return nil }
        self.action = action
        self.path = path
        self.subsystem = fields["SUBSYSTEM"] ?? ""
        self.fields = fields
    }
}

/// The kernel's messages about devices that come and go. Messages of anyone else are dropped.
public struct UeventSocket: ~Copyable {
    /// What a wait brought.
    public enum Signal: Sendable, Equatable {
        /// A device changed.
        case event(Uevent)
        /// Messages were lost: look at all devices again.
        case overflow
    }

    private let socket: OwnedDescriptor

    /// The descriptor, to be waited for together with others.
    public var descriptor: Int32 { socket.rawValue }

    /// Starts listening. What happened before is not reported.
    public init(receiveBufferBytes: Int32 = 4 << 20) throws(SystemError) {
        socket = OwnedDescriptor(
            adopting: try check(apus_uevent_open(receiveBufferBytes), "listen for device events"), path: "uevents")
    }

    /// The next message; nil where none came within the time. A negative time waits for ever.
    public borrowing func next(timeoutMilliseconds: Int32) throws(SystemError) -> Signal? {
        let deadline = Clock.monotonicMilliseconds() + Int64(max(0, timeoutMilliseconds))
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let got = apus_uevent_receive(socket.rawValue, &buffer, buffer.count)
            if got == -ENOBUFS { return .overflow }
            if got >= 0 {
                if let event = Uevent(message: buffer.prefix(Int(got))) { return .event(event) }
                continue
            }
            if got == -EBADMSG { continue }
            guard got == -EAGAIN else { throw SystemError("receive a device event", code: Int32(clamping: got)) }
            let left = deadline - Clock.monotonicMilliseconds()
            if timeoutMilliseconds >= 0 && left <= 0 { return nil }
            try check(
                apus_poll_read([socket.rawValue], 1, timeoutMilliseconds < 0 ? -1 : Int32(clamping: left)),
                "wait for a device event")
        }
    }

    /// Returns once no message has come for `quietMilliseconds`, or at the latest after `limitMilliseconds`; calls
    /// `afterSome` after every burst of messages, so that drivers for what appeared can be loaded.
    public borrowing func settle(
        quietMilliseconds: Int32, limitMilliseconds: Int64, afterSome: () throws(SystemError) -> Void
    ) throws(SystemError) {
        let deadline = Clock.monotonicMilliseconds() + limitMilliseconds
        while Clock.monotonicMilliseconds() < deadline {
            guard try next(timeoutMilliseconds: quietMilliseconds) != nil else { return }
            // Looking at all devices is dear and one look serves the whole burst.
            while Clock.monotonicMilliseconds() < deadline, try next(timeoutMilliseconds: 0) != nil {}
            try afterSome()
        }
    }
}
