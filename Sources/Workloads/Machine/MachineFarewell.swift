public import Contract

/// Asks a machine to end by its power button, over QEMU's monitor (QEMU, docs/interop/qmp-spec.rst), and says when it
/// has heard. QEMU's side is as hostile as the machine that may have taken it over: lines are bounded and read
/// strictly, and what is not expected is passed over.
public struct MachineFarewell: Sendable {
    /// What is to be done.
    public enum Action: Sendable, Hashable {
        /// Send these bytes.
        case send([UInt8])
        /// The machine has shut down; QEMU ends by itself.
        case shutDown
    }

    private enum State {
        case greeting, capabilities, pressed, over
    }

    /// The longest line, in bytes.
    public static let lineBytes = 64 << 10
    /// A machine that still starts does not see its button: it is pressed again after this, in milliseconds.
    public static let againMilliseconds: Int64 = 5000

    private var state = State.greeting
    private var pending: [UInt8] = []

    /// Waits for the greeting.
    public init() {}

    private static func command(_ name: String) -> [UInt8] { Array("{\"execute\":\"\(name)\"}\n".utf8) }

    /// Takes bytes of the monitor; throws where they are no monitor's.
    public mutating func take(_ bytes: some Collection<UInt8>) throws(WireError) -> [Action] {
        var actions: [Action] = []
        pending += bytes
        var start = pending.startIndex
        while let end = pending[start...].firstIndex(of: 0x0A) {
            let line = pending[start..<end].filter { $0 != 0x0D }
            start = end + 1
            guard line.count <= Self.lineBytes else { throw WireError("a line of the monitor is too long") }
            if !line.isEmpty { actions += try message(line) }
        }
        pending.removeFirst(start)
        guard pending.count <= Self.lineBytes else { throw WireError("a line of the monitor is too long") }
        return actions
    }

    /// The button once more, where it was pressed and nothing came of it.
    public func again() -> [UInt8]? {
        if case .pressed = state { Self.command("system_powerdown") } else { nil }
    }

    private mutating func message(_ line: [UInt8]) throws(WireError) -> [Action] {
        let value = try DocumentValue(parsing: line, limit: Self.lineBytes, maximumDepth: 16, maximumValues: 4096)
        switch state {
        case .greeting where value["QMP"] != nil:
            state = .capabilities
            return [.send(Self.command("qmp_capabilities"))]
        case .capabilities where value["return"] != nil:
            state = .pressed
            return [.send(Self.command("system_powerdown"))]
        case .pressed where value["event"] == .string("SHUTDOWN"):
            state = .over
            return [.shutDown]
        default: return []
        }
    }
}
