/// A path inside an image: names without `.`, `..`, empty ones or a slash at the front. The root has none.
///
/// Made of bytes, as the kernel's are: `String` would take two names for one where Unicode calls them equivalent.
public struct ImagePath: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The names, from the root down.
    public let components: [[UInt8]]

    /// The image's root.
    public static let root = ImagePath(components: [])

    init(components: [[UInt8]]) { self.components = components }

    /// Takes a path as an archive has it. Leading `./`, repeated slashes and one at the end mean nothing.
    public init(archived bytes: [UInt8], limits: ImageLimits = .standard) throws(LayerRefusal) {
        func refuse(_ reason: LayerRefusal.Reason, _ detail: String = "") -> LayerRefusal {
            LayerRefusal(reason, path: bytes, detail: detail)
        }
        guard !bytes.isEmpty else { throw refuse(.badPath, "it is empty") }
        guard bytes.count <= limits.pathBytes else { throw refuse(.badPath, "it is too long") }
        guard bytes[0] != UInt8(ascii: "/") else { throw refuse(.absolutePath) }
        guard !bytes.contains(0) else { throw refuse(.badPath, "it has a zero byte") }
        var components: [[UInt8]] = []
        for part in bytes.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(Self.dot) {
            guard !part.elementsEqual(Self.dotDot) else { throw refuse(.parentPath) }
            guard part.count <= limits.componentBytes else { throw refuse(.badPath, "a name is too long") }
            components.append(Array(part))
        }
        guard components.count <= limits.depth else { throw refuse(.badPath, "it is too deep") }
        self.components = components
    }

    static let dot = Array(".".utf8)
    static let dotDot = Array("..".utf8)

    /// The last name; nil for the root.
    public var name: [UInt8]? { components.last }

    /// The directory that it lies in; the root's is the root.
    public var parent: ImagePath { ImagePath(components: components.dropLast()) }

    /// The path of a name in this directory.
    func appending(_ name: [UInt8]) -> ImagePath { ImagePath(components: components + [name]) }

    /// The bytes, without a slash at the front; empty for the root.
    public var bytes: [UInt8] { Array(components.joined(separator: [UInt8(ascii: "/")])) }

    /// Name by name in the order of bytes, so that a directory comes before what is in it.
    public static func < (left: ImagePath, right: ImagePath) -> Bool {
        for (one, other) in zip(left.components, right.components) where one != other {
            return one.lexicographicallyPrecedes(other)
        }
        return left.components.count < right.components.count
    }

    /// The path from `/`, with everything but plain characters escaped.
    public var description: String { "/" + ImagePath.printable(bytes) }

    /// Bytes as text that is safe on a terminal and in a log, at most 256 of them.
    static func printable(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes.prefix(256) {
            if (0x20...0x7e).contains(byte), byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + [byte].lowercaseHexDigits
            }
        }
        return text
    }

    /// Whether a relative link's target, seen from this directory, climbs above the root.
    func climbsAboveRoot(_ target: [UInt8]) -> Bool {
        var depth = components.count
        for part in target.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(Self.dot) {
            depth += part.elementsEqual(Self.dotDot) ? -1 : 1
            if depth < 0 { return true }
        }
        return false
    }
}

extension [UInt8] {
    /// Two digits a byte.
    fileprivate var lowercaseHexDigits: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
