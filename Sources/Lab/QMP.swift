import Contract
import FoundationEssentials
import Glibc

/// One line of the QEMU Machine Protocol (QEMU, docs/interop/qmp-spec.txt).
enum QMPMessage: Equatable {
    /// The first line, before capabilities are negotiated.
    case greeting
    /// The reply to the command with that id.
    case reply(id: String, value: AnyJSON)
    /// The refusal of the command with that id.
    case failure(id: String, description: String)
    /// Something that happened.
    case event(QMPEvent)

    /// Reads one line; nil where it is none of the above.
    init?(line: some Collection<UInt8>) {
        guard let value = try? JSONDecoder().decode(AnyJSON.self, from: Data(line)) else { return nil }
        if value["QMP"] != nil {
            self = .greeting
        } else if let name = value["event"]?.text {
            self = .event(QMPEvent(name: name, data: value["data"] ?? .null))
        } else if let result = value["return"] {
            self = .reply(id: value["id"]?.text ?? "", value: result)
        } else if let error = value["error"] {
            self = .failure(id: value["id"]?.text ?? "", description: error["desc"]?.text ?? "no reason given")
        } else {
            return nil
        }
    }
}

/// Something that happened to a virtual machine, such as `RESET` or `SHUTDOWN`.
struct QMPEvent: Equatable, Sendable {
    /// QEMU's name for it.
    var name: String
    /// What QEMU says about it.
    var data: AnyJSON

    /// Whether the guest itself caused it.
    var isGuests: Bool { data["guest"]?.flag ?? false }
}

/// A machine's monitor: commands and replies in order, events as they come.
final class QMPConnection {
    /// Events since the start, oldest first; bounded by the life of a scenario.
    private(set) var events: [QMPEvent] = []
    /// Whether QEMU has closed its end.
    private(set) var isClosed = false
    let descriptor: Int32
    private var pending: [UInt8] = []
    private var replies: [String: Result<AnyJSON, LabError>] = [:]
    private var isGreeted = false
    private var commands = 0

    /// Takes over the connected descriptor of a stream socket.
    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Waits for the greeting and leaves negotiation mode.
    func negotiate(deadline: Deadline) throws {
        while !isGreeted {
            guard !deadline.isOver, !isClosed else { throw LabError("QEMU's monitor said nothing") }
            pump(milliseconds: 200)
        }
        try execute("qmp_capabilities")
    }

    /// Runs a command and returns its reply.
    @discardableResult
    func execute(_ command: String, _ arguments: [String: AnyJSON] = [:]) throws -> AnyJSON {
        commands += 1
        let id = "lab-\(commands)"
        var message: [String: AnyJSON] = ["execute": .string(command), "id": .string(id)]
        if !arguments.isEmpty { message["arguments"] = .object(arguments) }
        try send(Array(try JSONEncoder().encode(AnyJSON.object(message))) + [UInt8(ascii: "\n")])
        let deadline = Deadline(seconds: 30)
        while replies[id] == nil {
            guard !isClosed else { throw LabError("QEMU ended during '\(command)'") }
            guard !deadline.isOver else { throw LabError("QEMU did not answer '\(command)'") }
            pump(milliseconds: 200)
        }
        return try replies.removeValue(forKey: id)?.get() ?? .null
    }

    /// Takes in what QEMU sent, waiting at most that long for the first byte.
    func pump(milliseconds: Int32) {
        guard !isClosed else { return }
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&watched, 1, milliseconds) > 0 else { return }
        var piece = [UInt8](repeating: 0, count: 16384)
        let count = recv(descriptor, &piece, piece.count, Int32(MSG_DONTWAIT))
        if count == 0 { isClosed = true }
        guard count > 0 else { return }
        pending += piece[..<count]
        while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
            if let message = QMPMessage(line: pending[..<end]) { take(message) }
            pending.removeFirst(end + 1)
        }
    }

    private func take(_ message: QMPMessage) {
        switch message {
        case .greeting: isGreeted = true
        case .reply(let id, let value): replies[id] = .success(value)
        case .failure(let id, let description): replies[id] = .failure(LabError("QEMU refused: \(description)"))
        case .event(let event): events.append(event)
        }
    }

    private func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw LabError("QEMU's monitor is gone: \(lastError())") }
            sent += count
        }
    }
}
