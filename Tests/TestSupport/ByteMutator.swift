/// Changes bytes as an enemy, a broken medium or a broken editor might: the same changes for the same seed.
public struct ByteMutator: Sendable {
    private var generator: SeededGenerator

    /// Starts with a seed.
    public init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// A number from 0 to below a bound, which counts as 1 where it is less.
    public mutating func random(_ bound: Int) -> Int { Int.random(in: 0..<max(1, bound), using: &generator) }

    /// Numbers at the edges of their types, what ends, nests or escapes a text, and the words of paths and addresses.
    private static let pieces: [[UInt8]] =
        [
            "-1", "0", "65536", "9223372036854775808", "1e999", "0.5", "null", "true", "\"\"", "[]", "{}", "[[[[", "}",
            "\"", "\\", "\\u0000", "\\ud800", "\\n", "\u{202e}", ",", ":", "=", " ", "\n", "\r\n", "/", "..", "@", "%",
            "http://", "file:///etc/shadow",
        ].map { Array($0.utf8) }
        + [
            [0], [0, 0, 0, 0], [255, 255], [255, 255, 255, 255], [255, 255, 255, 255, 255, 255, 255, 127],
            [0, 0, 0, 128], [0xc3],
        ]

    /// The bytes after one to four changes: a bit, a byte, a piece over or between others, a part twice, or a part gone.
    public mutating func change(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random(4) {
            guard !bytes.isEmpty else { break }
            let at = random(bytes.count)
            let end = min(bytes.count, at + random(24))
            let piece = Self.pieces[random(Self.pieces.count)]
            switch random(6) {
            case 0: bytes[at] ^= 1 << UInt8(random(8))
            case 1: bytes[at] = UInt8(random(256))
            case 2: bytes.replaceSubrange(at..<min(bytes.count, at + piece.count), with: piece)
            case 3: bytes.insert(contentsOf: piece, at: at)
            case 4: bytes.insert(contentsOf: bytes[at..<end], at: random(bytes.count))
            default: bytes.removeSubrange(at..<(random(4) == 0 ? bytes.count : end))
            }
        }
        return bytes
    }
}
