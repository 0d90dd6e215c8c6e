extension AttackRow {
    private static let refused: Set<String> = ["EPERM"]
    private static let filtered: [AttackGuard] = [.filter, .noCapabilities, .userNamespace]

    private static func all(
        _ names: String..., answers: Set<String> = refused, missing: Set<String> = []
    ) -> [AttackAttempt] {
        names.map { AttackAttempt($0, answers, missing: missing) }
    }

    /// Calls that the kernel must not take from a container.
    static let kernel: [AttackRow] = [
        AttackRow(
            "real-time", "real-time and deadline scheduling, real-time I/O, a raised priority",
            [.noCapabilities, .userNamespace, .resourceLimits],
            // A kernel that shares real-time time out by cgroup refuses root as well.
            all("fifo", "deadline", missing: ["EPERM"]) + all("io") + all("nice", answers: ["EACCES", "EPERM"])),
        AttackRow(
            "mount", "old and new mount calls: mount, remount, unmask, fsopen, open_tree, move_mount, pivot_root",
            filtered + [.appArmor],
            all(
                "tmpfs", "proc", "sysfs", "bind", "remount", "unmask", "fsopen", "open-tree", "fspick",
                "mount-setattr", "move-mount", "pivot-root")),
        AttackRow(
            "namespaces", "unshare, clone and clone3 with new namespaces", filtered,
            all("unshare-user", "unshare-mount", "unshare-net", "clone-user")
                + all("clone3-user", answers: ["ENOSYS"])),
        AttackRow("setns", "entering a namespace by file and by process", filtered, all("uts", "process")),
        AttackRow(
            "tracing", "ptrace, process_vm_readv, pidfd_getfd and kcmp on a sibling", [.filter, .noCapabilities],
            all("ptrace", "process-vm-readv", "pidfd-getfd") + all("kcmp", missing: ["ENOSYS"])),
        AttackRow(
            "modules", "loading and unloading modules", filtered, all("init", "finit", "delete", missing: ["ENOSYS"]),
            isHarmful: true),
        AttackRow(
            "kexec-reboot", "kexec and reboot", filtered + [.processNamespace],
            all("kexec-load", "kexec-file", missing: ["ENOSYS"]) + all("reboot"), isHarmful: true),
        AttackRow("swap", "a swap file", filtered, all("swapon"), isHarmful: true),
        AttackRow("bpf", "a BPF map", filtered, all("map")),
        AttackRow("perf", "a performance counter", filtered, all("event", missing: ["ENOENT"])),
        AttackRow("userfaultfd", "a userfaultfd", filtered, all("descriptor", missing: ["ENOSYS"])),
        AttackRow("io-uring", "an io_uring", [.filter], all("setup", missing: ["ENOSYS"])),
        AttackRow("keyring", "add_key, request_key and keyctl", [.filter], all("add", "request", "keyctl")),
        AttackRow(
            "file-handles", "name_to_handle_at and open_by_handle_at", filtered, all("name", "open")),
        AttackRow("clock", "setting the node's clock", filtered, all("set"), isHarmful: true),
        AttackRow(
            "personality", "personality, modify_ldt, iopl, ioperm", filtered,
            all("personality", answers: ["ENOSYS", "EPERM"]) + all("modify-ldt", "iopl", "ioperm", missing: ["ENOSYS"])),
        AttackRow(
            "other-conventions", "system calls of i386 and x32", [.filter],
            all("i386", "x32", answers: ["SIGSYS"], missing: ["ENOSYS", "SIGSEGV"])),
        AttackRow(
            "socket-families", "sockets beyond UNIX, INET and INET6", [.filter, .noCapabilities, .userNamespace],
            all(
                "alg", "packet", "vsock", "key", "rxrpc", "netlink-route", "netlink-xfrm", "netlink-netfilter",
                "bluetooth", "can", "tipc", "xdp", "high-bits", answers: ["EAFNOSUPPORT"],
                missing: ["EAFNOSUPPORT", "EPROTONOSUPPORT"])),
        AttackRow(
            "terminal-input", "TIOCSTI, also with bits that the kernel ignores",
            [.filter, .noCapabilities, .userNamespace], all("tiocsti", "high-bits", missing: ["EIO"])),
    ]
}
