/// Tar archives as no decent program makes them (POSIX.1-2017, pax, "ustar Interchange Format").
struct HostileLayer {
    private(set) var bytes: [UInt8] = []

    /// Adds an entry; `type` is the header's type flag.
    mutating func add(
        _ name: String, type: Character = "0", _ content: [UInt8] = [], target: String = "", mode: Int = 0o755,
        user: Int = 0
    ) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Collection<UInt8>, _ offset: Int) {
            header.replaceSubrange(offset..<offset + text.count, with: text)
        }
        put(Array(name.utf8.prefix(100)), 0)
        put(Self.octal(mode, 7), 100)
        put(Self.octal(user, 7), 108)
        put(Self.octal(0, 7), 116)
        put(Self.octal(content.count, 11), 124)
        put(Self.octal(0, 11), 136)
        put(Array("        ".utf8), 148)
        put(Array(String(type).utf8), 156)
        put(Array(target.utf8.prefix(100)), 157)
        put(Array("ustar\u{0}00".utf8), 257)
        put(Self.octal(header.reduce(0) { $0 + Int($1) }, 6) + [0], 148)
        bytes += header + content + [UInt8](repeating: 0, count: -content.count & 511)
    }

    /// Adds many empty files whose names are numbers of eight digits: one header, changed in place.
    mutating func addFiles(_ count: Int) {
        var one = HostileLayer()
        one.add("00000000")
        var header = one.bytes
        let sum = header.enumerated().reduce(0) { $0 + Int((148..<156).contains($1.offset) ? 0x20 : $1.element) }
        bytes.reserveCapacity(bytes.count + count * 512)
        for number in 0..<count {
            var rest = number
            var added = 0
            for place in stride(from: 7, through: 0, by: -1) {
                header[place] = UInt8(0x30 + rest % 10)
                added += rest % 10
                rest /= 10
            }
            header.replaceSubrange(148..<154, with: Self.octal(sum + added, 6))
            bytes += header
        }
    }

    /// The archive with its end.
    var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    private static func octal(_ value: Int, _ digits: Int) -> [UInt8] {
        let text = String(value, radix: 8)
        return Array((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8)
    }
}

/// Images that a node must refuse, each with the word of its reason (`Images/ImageError.swift`).
struct HostileImage: Sendable {
    /// Its name in tables, documents and the registry.
    let name: String
    /// The reason's word.
    let reason: String
    /// Its layers, the lowest first.
    let layers: @Sendable () -> [[UInt8]]

    private init(_ name: String, _ reason: String, _ layers: @Sendable (inout HostileLayer) -> Void...) {
        self.name = name
        self.reason = reason
        self.layers = {
            layers.map { fill in
                var layer = HostileLayer()
                fill(&layer)
                return layer.finished
            }
        }
    }

    /// All of them.
    static let all: [HostileImage] = [
        HostileImage("parent-path", "parent-path", { $0.add("../etc/passwd") }),
        HostileImage("parent-inside", "parent-path", { $0.add("a/../../etc/passwd") }),
        HostileImage("absolute-path", "absolute-path", { $0.add("/etc/passwd") }),
        HostileImage("escaping-link", "escaping-link", { $0.add("l", type: "2", target: "../../etc") }),
        HostileImage(
            "through-link", "through-link", { $0.add("l", type: "2", target: "/etc") }, { $0.add("l/passwd") }),
        HostileImage("hard-link-up", "bad-hard-link", { $0.add("l", type: "1", target: "../../etc/shadow") }),
        HostileImage("hard-link-absolute", "bad-hard-link", { $0.add("l", type: "1", target: "/etc/shadow") }),
        HostileImage(
            "hard-link-through", "through-link",
            {
                $0.add("d", type: "2", target: "/etc")
                $0.add("l", type: "1", target: "d/shadow")
            }),
        HostileImage("character-device", "device-node", { $0.add("dev/mem", type: "3", mode: 0o666) }),
        HostileImage("block-device", "device-node", { $0.add("disk", type: "4", mode: 0o666) }),
        HostileImage("whiteout-name", "whiteout-trick", { $0.add("a/.wh...") }),
        HostileImage("whiteout-content", "whiteout-trick", { $0.add(".wh.a", [1]) }),
        HostileImage("whiteout-directory", "whiteout-trick", { $0.add(".wh.a/b") }),
        HostileImage("dev-is-a-link", "not-a-directory", { $0.add("dev", type: "2", target: "etc") }),
        HostileImage("proc-is-a-file", "not-a-directory", { $0.add("proc") }),
        HostileImage(
            "sys-becomes-a-link", "not-a-directory", { $0.add("sys/", type: "5") },
            { $0.add("sys", type: "2", target: "/tmp") }),
        HostileImage("foreign-owner", "owner-out-of-range", { $0.add("f", user: 65_536) }),
        HostileImage("many-files", "too-many-entries", { $0.addFiles(300_001) }),
        HostileImage("bomb", "compression-bomb", { $0.add("zeros", [UInt8](repeating: 0, count: 96 << 20)) }),
        HostileImage(
            "nonsense", "malformed",
            {
                $0.add("f", type: "0", mode: 0o644); $0.truncate()
            }),
    ]
}

extension HostileLayer {
    /// Damages the last header.
    mutating func truncate() {
        guard bytes.count >= 512 else { return }
        bytes[bytes.count - 512 + 150] ^= 0x07
    }
}
