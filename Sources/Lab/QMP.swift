import FoundationEssentials
import Glibc

/// JSON as QEMU's monitor speaks it.
enum JSONValue: Codable, Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// The member of that name, where this is an object that has it.
    subscript(_ name: String) -> JSONValue? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    /// The text, where this is a string.
    var text: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The truth value, where this is one.
    var flag: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }
}

/// One line of the QEMU Machine Protocol (QEMU, docs/interop/qmp-spec.txt).
enum QMPMessage: Equatable {
    /// The first line, before capabilities are negotiated.
    case greeting
    /// The reply to the command with that id.
    case reply(id: String, value: JSONValue)
    /// The refusal of the command with that id.
    case failure(id: String, description: String)
    /// Something that happened.
    case event(QMPEvent)

    /// Reads one line; nil where it is none of the above.
    init?(line: some Collection<UInt8>) {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(line)) else { return nil }
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
    var data: JSONValue

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
    private var replies: [String: Result<JSONValue, LabError>] = [:]
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
    func execute(_ command: String, _ arguments: [String: JSONValue] = [:]) throws -> JSONValue {
        commands += 1
        let id = "lab-\(commands)"
        var message: [String: JSONValue] = ["execute": .string(command), "id": .string(id)]
        if !arguments.isEmpty { message["arguments"] = .object(arguments) }
        try send(Array(try JSONEncoder().encode(JSONValue.object(message))) + [UInt8(ascii: "\n")])
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
