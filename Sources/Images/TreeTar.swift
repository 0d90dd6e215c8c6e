/// Writes headers of a tar archive (POSIX.1-2017, pax, "pax Interchange Format"): pure, and always well-formed.
///
/// This is what `mkfs.erofs` reads, so that it never sees a byte of a header that came from outside.
public enum TreeTar {
    /// The size of a block in bytes.
    public static let blockBytes = 512

    /// Two empty blocks: the end of an archive.
    public static let end = [UInt8](repeating: 0, count: 2 * blockBytes)

    /// The zeros that fill a file's last block.
    public static func padding(afterBytes size: UInt64) -> [UInt8] {
        [UInt8](repeating: 0, count: Int((512 - size % 512) % 512))
    }

    /// The header, or headers, of a node with its owner moved up by `idOffset`.
    public static func header(_ path: ImagePath, _ node: TreeNode, idOffset: UInt32 = 0) -> [UInt8] {
        switch node.kind {
        case .file(let size): entry(path, node, "0", size: size, idOffset: idOffset)
        case .directory: entry(path, node, "5", idOffset: idOffset)
        case .symbolicLink(let target): entry(path, node, "2", target: target, idOffset: idOffset)
        case .fifo: entry(path, node, "6", idOffset: idOffset)
        }
    }

    /// The header of another name of a file that was written before.
    public static func hardLink(
        _ path: ImagePath, to target: ImagePath, _ node: TreeNode, idOffset: UInt32 = 0
    ) -> [UInt8] {
        var plain = node
        plain.attributes = [:]
        return entry(path, plain, "1", target: Array("./".utf8) + target.bytes, idOffset: idOffset)
    }

    private static func entry(
        _ path: ImagePath, _ node: TreeNode, _ type: Character, size: UInt64 = 0, target: [UInt8] = [],
        idOffset: UInt32
    ) -> [UInt8] {
        var name = Array("./".utf8) + path.bytes
        if type == "5", path != .root { name.append(UInt8(ascii: "/")) }
        let user = UInt64(node.user) + UInt64(idOffset)
        let group = UInt64(node.group) + UInt64(idOffset)
        var records: [UInt8] = []
        if name.count > 99 { records += record("path", name) }
        if target.count > 99 { records += record("linkpath", target) }
        if size >= 1 << 33 { records += record("size", Array(String(size).utf8)) }
        if user >= 1 << 21 { records += record("uid", Array(String(user).utf8)) }
        if group >= 1 << 21 { records += record("gid", Array(String(group).utf8)) }
        for (key, value) in node.attributes.sorted(by: { $0.key < $1.key }) {
            records += record("SCHILY.xattr." + key, value)
        }
        var bytes: [UInt8] = []
        if !records.isEmpty {
            bytes += block(Array("./pax".utf8), mode: 0o644, user: 0, group: 0, size: UInt64(records.count), 0, "x", [])
            bytes += records + padding(afterBytes: UInt64(records.count))
        }
        return bytes
            + block(
                name, mode: node.mode, user: user, group: group, size: size, node.modifiedSeconds, type, target)
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [UInt8(ascii: "\n")]
        var length = rest.count + 1
        while rest.count + String(length).utf8.count != length { length += 1 }
        return Array(String(length).utf8) + rest
    }

    private static func block(
        _ name: [UInt8], mode: UInt32, user: UInt64, group: UInt64, size: UInt64, _ modified: UInt64,
        _ type: Character, _ target: [UInt8]
    ) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: blockBytes)
        func put(_ value: some Collection<UInt8>, at offset: Int, limit: Int) {
            bytes.replaceSubrange(offset..<offset + min(limit, value.count), with: value.prefix(limit))
        }
        func putOctal(_ value: UInt64, at offset: Int, digits: Int) {
            // What does not fit stands in a record before, and readers then ignore the field.
            let fitting = value < 1 << UInt64(3 * digits) ? value : 0
            let text = String(fitting, radix: 8)
            put((String(repeating: "0", count: digits - text.utf8.count) + text).utf8, at: offset, limit: digits)
        }
        put(name, at: 0, limit: 100)
        putOctal(UInt64(mode), at: 100, digits: 7)
        putOctal(user, at: 108, digits: 7)
        putOctal(group, at: 116, digits: 7)
        putOctal(size, at: 124, digits: 11)
        putOctal(modified, at: 136, digits: 11)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148, limit: 8)
        put(String(type).utf8, at: 156, limit: 1)
        put(target, at: 157, limit: 100)
        put("ustar\u{0}00".utf8, at: 257, limit: 8)
        let sum = bytes.reduce(UInt64(0)) { $0 + UInt64($1) }
        putOctal(sum, at: 148, digits: 6)
        bytes[154] = 0
        return bytes
    }
}
