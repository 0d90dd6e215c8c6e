internal import Images
internal import Linux
internal import Workloads

/// Looks a user up in an image's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)), which are hostile: bounded,
/// and no link in the image leads to the node's files.
enum ImageUsers {
    static let fileBytes = 1 << 20

    /// - Parameters:
    ///   - text: `user`, `user:group`, names or numbers; empty is root.
    ///   - root: where the image is mounted.
    static func find(_ text: String, in root: String) throws -> SandboxUser {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts.first ?? ""
        let passwd = lines("/etc/passwd", in: root)
        let group = lines("/etc/group", in: root)
        var user = SandboxUser()
        var login = "root"
        if !name.isEmpty {
            let byNumber = UInt32(name)
            let entry = passwd.first { fields in
                fields.count >= 4 && (byNumber.map { UInt32(fields[2]) == $0 } ?? (fields[0] == name))
            }
            guard let uid = byNumber ?? entry.flatMap({ UInt32($0[2]) }) else {
                throw SandboxError("the image has no user '\(Text.clean(name))'", isPermanent: true)
            }
            user.uid = uid
            user.gid = entry.flatMap { UInt32($0[3]) } ?? 0
            login = entry.map { $0[0] } ?? ""
        }
        guard parts.count == 2 else {
            user.groups = groups(of: login, group).filter { $0 != user.gid }
            return user
        }
        let byNumber = UInt32(parts[1])
        let entry = group.first { $0.count >= 3 && $0[0] == parts[1] }
        guard let gid = byNumber ?? entry.flatMap({ UInt32($0[2]) }) else {
            throw SandboxError("the image has no group '\(Text.clean(parts[1]))'", isPermanent: true)
        }
        user.gid = gid
        return user
    }

    private static func groups(of login: String, _ group: [[String]]) -> [UInt32] {
        guard !login.isEmpty else { return [] }
        let found = group.filter { $0.count >= 4 && $0[3].split(separator: ",").contains(Substring(login)) }
        return Array(found.compactMap { UInt32($0[2]) }.prefix(64))
    }

    private static func lines(_ path: String, in root: String) -> [[String]] {
        // An image without such a file has numbers only.
        guard let bytes = try? Files.read(path, inside: root, limitBytes: fileBytes) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").prefix(10_000).map { line in
            line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
