/// Turns a list of paths into runs of clusters: the root directory, the others, then the files.
struct FATTree {
    private final class Directory {
        var path: String
        var names: [String] = []
        var children: [String: Directory] = [:]
        var files: [String: UInt64] = [:]
        init(path: String) { self.path = path }
    }

    let runs: [FATLayout.Run]

    /// A path without empty components, joined by `/`.
    static func normal(_ path: String) -> String {
        path.split { $0 == "/" || $0 == "\\" }.joined(separator: "/")
    }

    init(files: [FATLayout.File], clusterBytes: Int, label: [UInt8]) throws(FATError) {
        guard files.count <= 1024 else { throw .tooLarge("a list of \(files.count) files") }
        let root = Directory(path: "")
        for file in files { try Self.insert(file, into: root) }
        let directories = Self.flatten(root)
        let placed = try Self.place(directories, clusterBytes: clusterBytes)
        runs = try Self.fill(placed, directories: directories, label: label)
    }

    private static func insert(_ file: FATLayout.File, into root: Directory) throws(FATError) {
        guard file.sizeBytes <= UInt64(UInt32.max) else { throw .tooLarge("'\(file.path)'") }
        let names = normal(file.path).split(separator: "/").map(String.init)
        guard !names.isEmpty, names.count <= 8, names.allSatisfy({ FATNames.isValid($0) }) else {
            throw .badPath(file.path)
        }
        var directory = root
        for (depth, name) in names.enumerated() {
            // FAT compares names without regard to case.
            let same = directory.names.first { $0.uppercased() == name.uppercased() }
            if depth == names.count - 1 {
                guard same == nil else { throw .badPath(file.path) }
                directory.names.append(name)
                directory.files[name] = file.sizeBytes
            } else if let next = directory.children[name] {
                directory = next
            } else {
                guard same == nil else { throw .badPath(file.path) }
                let next = Directory(path: names[...depth].joined(separator: "/"))
                directory.names.append(name)
                directory.children[name] = next
                directory = next
            }
        }
    }

    private static func flatten(_ root: Directory) -> [Directory] {
        var found = [root]
        var index = 0
        while index < found.count {
            let directory = found[index]
            found += directory.names.compactMap { directory.children[$0] }
            index += 1
        }
        return found
    }

    /// Entries that a directory needs: at most 21 for a name of 255 characters, counted exactly.
    private static func entryCount(_ directory: Directory) -> Int {
        directory.names.reduce(2) { $0 + 1 + ($1.utf8.count + 12) / 13 }
    }

    private static func place(
        _ directories: [Directory], clusterBytes: Int
    ) throws(FATError) -> [FATLayout.Run] {
        var next = FATLayout.firstCluster
        var runs: [FATLayout.Run] = []
        func take(_ path: String, _ sizeBytes: UInt64, isDirectory: Bool) {
            let clusters = Int((sizeBytes + UInt64(clusterBytes) - 1) / UInt64(clusterBytes))
            runs.append(
                FATLayout.Run(
                    path: path, cluster: clusters == 0 ? 0 : next, clusters: clusters, sizeBytes: sizeBytes,
                    directory: isDirectory ? [] : nil))
            next += UInt32(clusters)
        }
        for directory in directories {
            take(directory.path, UInt64(entryCount(directory) * FATNames.entryBytes), isDirectory: true)
        }
        for directory in directories {
            for name in directory.names {
                guard let size = directory.files[name] else { continue }
                take(directory.path.isEmpty ? name : "\(directory.path)/\(name)", size, isDirectory: false)
            }
        }
        return runs
    }

    private static func fill(
        _ placed: [FATLayout.Run], directories: [Directory], label: [UInt8]
    ) throws(FATError) -> [FATLayout.Run] {
        var runs = placed
        let byPath = Dictionary(placed.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        for (index, directory) in directories.enumerated() {
            runs[index].directory = try entries(of: directory, run: placed[index], byPath: byPath, label: label)
        }
        return runs
    }

    private static func entries(
        of directory: Directory, run: FATLayout.Run, byPath: [String: FATLayout.Run], label: [UInt8]
    ) throws(FATError) -> [UInt8] {
        var bytes: [UInt8] = []
        if directory.path.isEmpty {
            bytes += FATNames.entry(label, attribute: 0x08, cluster: 0, sizeBytes: 0)
        } else {
            let parent = directory.path.split(separator: "/").dropLast().joined(separator: "/")
            // The root directory's number is written as 0 in "..".
            let up = parent.isEmpty ? 0 : byPath[parent]?.cluster ?? 0
            let dot = [UInt8](".          ".utf8)
            bytes += FATNames.entry(dot, attribute: 0x10, cluster: run.cluster, sizeBytes: 0)
            bytes += FATNames.entry([UInt8]("..         ".utf8), attribute: 0x10, cluster: up, sizeBytes: 0)
        }
        var taken: Set<[UInt8]> = Set(
            directory.names.filter { $0 == $0.uppercased() }.compactMap { FATNames.short($0) })
        for name in directory.names {
            let exact = name == name.uppercased() ? FATNames.short(name) : nil
            guard let alias = exact ?? FATNames.alias(name, taken: taken) else { throw .badPath(name) }
            taken.insert(alias)
            let path = directory.path.isEmpty ? name : "\(directory.path)/\(name)"
            guard let child = byPath[path] else { throw .notFound(path) }
            bytes += FATNames.longEntries(name, alias: alias)
            bytes += FATNames.entry(
                alias, attribute: child.directory == nil ? 0x20 : 0x10, cluster: child.cluster,
                sizeBytes: child.directory == nil ? UInt32(child.sizeBytes) : 0)
        }
        return bytes
    }
}
