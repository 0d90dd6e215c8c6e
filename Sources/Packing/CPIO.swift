/// Writes a small archive that the kernel unpacks after the base initramfs (Linux
/// Documentation/driver-api/early-userspace/buffer-format.rst, "newc"): the same files give the same bytes.
struct CPIO {
    private(set) var bytes: [UInt8] = []
    private var inode: UInt32 = 0

    /// Archives files by absolute path, owned by root and readable by root only, with the directories above them.
    static func archive(_ files: [String: [UInt8]]) -> [UInt8] {
        var archive = CPIO()
        var made: Set<String> = []
        for (path, content) in files.sorted(by: { $0.key < $1.key }) {
            let parts = path.split(separator: "/").map(String.init)
            for depth in 1..<max(1, parts.count) {
                let directory = parts.prefix(depth).joined(separator: "/")
                if made.insert(directory).inserted { archive.add(directory, mode: 0o040755, content: []) }
            }
            archive.add(parts.joined(separator: "/"), mode: 0o100600, content: content)
        }
        archive.add("TRAILER!!!", mode: 0, content: [])
        archive.pad(to: 512)
        return archive.bytes
    }

    private mutating func add(_ name: String, mode: UInt32, content: [UInt8]) {
        inode += 1
        let isDirectory = mode & 0o170000 == 0o040000
        let fields: [UInt32] = [
            mode == 0 ? 0 : inode, mode, 0, 0, isDirectory ? 2 : 1, 0, UInt32(content.count), 0, 0, 0, 0,
            UInt32(name.utf8.count + 1), 0,
        ]
        bytes += "070701".utf8
        for field in fields {
            let digits = String(field, radix: 16)
            bytes += (String(repeating: "0", count: 8 - digits.count) + digits).utf8
        }
        bytes += name.utf8
        bytes.append(0)
        pad(to: 4)
        bytes += content
        pad(to: 4)
    }

    private mutating func pad(to alignment: Int) {
        while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
    }
}
