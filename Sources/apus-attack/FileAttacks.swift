import CAttack
import Glibc

extension Attack {
    static let files = [
        Attack(
            "kernel-files-write",
            [
                Attempt("core-pattern") { writeAttempt("/proc/sys/kernel/core_pattern") },
                Attempt("modprobe") { writeAttempt("/proc/sys/kernel/modprobe") },
                Attempt("overcommit") { writeAttempt("/proc/sys/vm/overcommit_memory") },
                // A new line asks it for nothing but its help.
                Attempt("sysrq") { writeAttempt("/proc/sysrq-trigger", "\n") },
                Attempt("uevent-helper") { writeAttempt("/sys/kernel/uevent_helper") },
                Attempt("powercap") { powercap() },
                Attempt("attribute") { writeAttempt("/proc/self/attr/current", "unconfined") },
            ]),
        Attack(
            "kernel-files-read",
            ["kcore", "keys", "key-users", "timer_list", "kallsyms", "modules", "interrupts", "kmsg", "slabinfo"].map {
                name in Attempt(name) { readAttempt("/proc/\(name)") }
            } + [Attempt("firmware") { list("/sys/firmware") }, Attempt("sys-devices") { list("/sys/devices") }]),
        Attack(
            "cgroup-escape",
            [
                Attempt("mount") { cgroupMount() },
                Attempt("release-agent") { writeAttempt("/sys/fs/cgroup/release_agent") },
                Attempt("memory-max") { writeAttempt("/sys/fs/cgroup/memory.max", "max") },
                Attempt("new-group") {
                    guard mkdir("/sys/fs/cgroup/attack", 0o755) == 0 else { return Said(-Int64(errno)) }
                    rmdir("/sys/fs/cgroup/attack")
                    return .succeeded("a group was made")
                },
            ]),
        Attack(
            "root-write",
            [
                Attempt("file") {
                    let said = openAttempt("/attack", O_WRONLY | O_CREAT)
                    unlink("/attack")
                    return said
                },
                Attempt("program") { openAttempt("/bin/busybox", O_WRONLY) },
            ]),
        Attack(
            "set-id",
            [Attempt("user") { setID("/bin/set-user-id") }, Attempt("volume") { setIDOnVolume() }]),
    ]

    private static func list(_ path: String) -> Said {
        guard let directory = opendir(path) else { return Said(-Int64(errno)) }
        defer { closedir(directory) }
        var count = 0
        while count < 1000, readdir(directory) != nil { count += 1 }
        return count > 2 ? .succeeded("\(count - 2) entries") : Said("empty")
    }

    private static func powercap() -> Said {
        let base = "/sys/devices/virtual/powercap"
        guard access(base, F_OK) == 0 else { return Said(-Int64(errno)) }
        return writeAttempt("\(base)/intel-rapl/enabled")
    }

    /// A hierarchy of version 1 without controllers, whose release agent the kernel runs as root of the node.
    private static func cgroupMount() -> Said {
        let target = "/scratch/cgroup"
        mkdir(target, 0o755)
        let mounted = call("mount", text("none"), text(target), text("cgroup"), 0, text("none,name=apus-attack"))
        guard mounted >= 0 else { return Said(mounted) }
        defer { _ = call("umount2", text(target), 2) }
        return writeAttempt("\(target)/release_agent", "/bin/true")
    }

    /// A program of user 1000 with its set-user-id bit: whoever it runs as tells whether the bit means anything.
    private static func setID(_ path: String) -> Said {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return Said(-Int64(errno)) }
        let child = attack_fork()
        if child == 0 {
            dup2(ends[1], 1)
            var words: [UnsafeMutablePointer<CChar>?] = [strdup(path), strdup("effective-user"), nil]
            execv(path, &words)
            attack_exit(126)
        }
        close(ends[1])
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = max(0, read(ends[0], &buffer, buffer.count))
        close(ends[0])
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = attack_wait(child, 1, &status, &signal)
        guard status != 126 else { return Said("not-run", "'\(path)' cannot be run") }
        let user = String(decoding: buffer[..<count], as: UTF8.self).filter(\.isNumber)
        return user == "\(geteuid())"
            ? Said("unchanged", "effective user \(user)") : .succeeded("effective user \(user)")
    }

    /// A set-id program of one's own making, for another user to be caught by.
    private static func setIDOnVolume() -> Said {
        let path = "/data/set-user-id"
        let file = opened(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o755)
        guard file >= 0 else { return Said(file, "open") }
        defer { unlink(path) }
        let source = opened("/bin/apus-attack", O_RDONLY)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while case let count = read(Int32(source), &buffer, buffer.count), count > 0 {
            guard write(Int32(file), buffer, count) == count else { return Said(-Int64(errno), "write") }
        }
        let owned = fchown(Int32(file), 1000, 1000) == 0 ? 0 : -Int64(errno)
        fchmod(Int32(file), 0o4755)
        close(Int32(file))
        guard owned == 0 else { return Said(owned, "change of the owner") }
        return setID(path)
    }
}
