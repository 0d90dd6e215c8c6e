/// A conversation with a workload that an operator asked for and the node opens: it sits behind firewalls.
///
/// The node sends frames with `PUT /v1/node/streams/{id}/output` and receives them with
/// `GET /v1/node/streams/{id}/input`; both bodies last as long as the conversation does.
public struct StreamRequest: Sendable, Codable, Equatable {
    /// Names it.
    public var id: String
    /// The workload's name.
    public var workload: String
    /// What it is.
    public var kind: Kind
    /// For `exec`: the command's words; nil otherwise.
    public var command: [String]?
    /// For `exec` and `attach`: whether a terminal stands between.
    public var tty: Bool
    /// For `logs`: whether lines that are written later follow.
    public var follow: Bool
    /// For `logs`: how many of the newest lines come first; nil for all that are kept.
    public var tail: Int?

    /// What a stream carries.
    public enum Kind: String, Sendable, Codable {
        /// What the workload has written, perhaps followed.
        case logs
        /// A command that is run inside the workload.
        case exec
        /// The workload's own standard streams, or a machine's console.
        case attach
    }

    /// Makes a request.
    public init(
        id: String, workload: String, kind: Kind, command: [String]? = nil, tty: Bool = false, follow: Bool = false,
        tail: Int? = nil
    ) {
        self.id = id
        self.workload = workload
        self.kind = kind
        self.command = command
        self.tty = tty
        self.follow = follow
        self.tail = tail
    }
}

/// Bounds of streams, in bytes unless the name says otherwise.
public enum StreamLimit {
    /// The content of one frame.
    public static let frame = 64 << 10
    /// What the server holds of one direction while nobody takes it.
    public static let buffer = 256 << 10
    /// How long a stream lives without its node or its operator, in seconds.
    public static let idleSeconds: Int64 = 300
    /// Who has nothing to send sends an empty `idle` frame this often, in seconds: what is silent for longer is taken
    /// for dead by servers, clients and what lies between them.
    public static let heartbeatSeconds: Int64 = 20
    /// The words of a command.
    public static let commandWords = 256
    /// All words of a command together.
    public static let command = 32 << 10
    /// Lines of a log that can be asked for at once.
    public static let tailLines = 100_000
}

/// One piece of a stream: a byte that says what it is, the length of its content (four bytes, big endian, at most
/// `StreamLimit.frame`), the content.
public struct StreamFrame: Sendable, Equatable {
    /// What it is.
    public var kind: Kind
    /// Its content.
    public var bytes: [UInt8]

    /// What a frame carries.
    public enum Kind: UInt8, Sendable {
        /// Standard input, to the node; an empty frame ends it.
        case input = 0
        /// Standard output, and logs.
        case output = 1
        /// Standard error.
        case error = 2
        /// How it ended: the exit status in decimal digits. The last frame of a stream.
        case exit = 3
        /// The terminal's size, to the node: columns and rows, two bytes each, big endian.
        case window = 4
        /// Why it cannot go on, a sentence in UTF-8. The last frame of a stream.
        case failure = 5
        /// Nothing: it shows that the connection lives, and is left aside.
        case idle = 6
    }

    /// Makes a frame; content beyond `StreamLimit.frame` belongs into another.
    public init(_ kind: Kind, _ bytes: some Collection<UInt8> = [UInt8]()) {
        self.kind = kind
        self.bytes = Array(bytes)
    }

    /// The frame on the wire.
    public var encoded: [UInt8] {
        let length = UInt32(clamping: bytes.count)
        return [kind.rawValue] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + bytes
    }

    /// A frame with a terminal's size.
    public static func window(columns: UInt16, rows: UInt16) -> StreamFrame {
        StreamFrame(.window, [UInt8(columns >> 8), UInt8(columns & 255), UInt8(rows >> 8), UInt8(rows & 255)])
    }

    /// The terminal's size that this frame carries; nil where it carries none.
    public var windowSize: (columns: UInt16, rows: UInt16)? {
        guard kind == .window, bytes.count == 4 else { return nil }
        return (UInt16(bytes[0]) << 8 | UInt16(bytes[1]), UInt16(bytes[2]) << 8 | UInt16(bytes[3]))
    }

    /// The exit status that this frame carries; nil where it carries none.
    public var exitStatus: Int32? { kind == .exit ? Int32(String(decoding: bytes, as: UTF8.self)) : nil }
}

/// Finds frames in bytes that arrive in pieces of any size; holds at most one frame that is not yet whole.
public struct StreamFrameReader: Sendable {
    private var pending: [UInt8] = []

    /// Makes a reader at the start of a stream.
    public init() {}

    /// Whether the last bytes are those of a frame that is not whole: a stream that ends here was cut.
    public var isMidFrame: Bool { !pending.isEmpty }

    /// Takes bytes and returns the frames that they complete; throws at a kind or a length that does not exist.
    public mutating func take(_ bytes: some Collection<UInt8>) throws(WireError) -> [StreamFrame] {
        pending += bytes
        var frames: [StreamFrame] = []
        var start = 0
        while pending.count - start >= 5 {
            guard let kind = StreamFrame.Kind(rawValue: pending[start]) else {
                throw WireError("a stream has a frame of the unknown kind \(pending[start])")
            }
            let length = pending[(start + 1)..<(start + 5)].reduce(0) { $0 << 8 | Int($1) }
            guard length <= StreamLimit.frame else {
                throw WireError("a stream has a frame of \(length) bytes; at most \(StreamLimit.frame) are accepted")
            }
            guard pending.count - start >= 5 + length else { break }
            frames.append(StreamFrame(kind, pending[(start + 5)..<(start + 5 + length)]))
            start += 5 + length
        }
        pending.removeFirst(start)
        return frames
    }
}
