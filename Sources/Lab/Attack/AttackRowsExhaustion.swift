extension AttackRow {
    /// What ends a process that takes more memory than it may: the kernel's kill of the whole group, which the program
    /// does not live to tell, or of the one process on kernels that kill alone.
    private static let killed: Set<String> = ["killed", "SIGKILL"]
    private static let full: Set<String> = ["ENOSPC", "EDQUOT", "ENOMEM"]

    /// Rows that use something up. The victim's latency is judged.
    static let exhaustion: [AttackRow] = [
        AttackRow(
            "fork-bomb", "1,000 processes", [.processLimit, .memoryLimit], [AttackAttempt("fork", ["EAGAIN"])],
            isExhaustion: true),
        AttackRow(
            "zombie-storm", "children that end and are never waited for; parents that look unkillable",
            [.processLimit, .memoryLimit],
            [AttackAttempt("zombies", ["EAGAIN"]), AttackAttempt("uninterruptible", ["killed"], missing: ["killed"])],
            isExhaustion: true),
        AttackRow(
            "memory-hog", "256 MiB of memory", [.memoryLimit], [AttackAttempt("pages", killed)], isExhaustion: true,
            stage: .alone),
        AttackRow(
            "memfd-fill", "256 MiB in a memfd", [.memoryLimit], [AttackAttempt("memfd", killed)], isExhaustion: true,
            stage: .alone),
        AttackRow(
            "tmpfs-fill", "tmpfs, /dev/shm and /dev filled, and their inodes", [.memoryFileSizes, .memoryLimit],
            [
                AttackAttempt("tmpfs", full), AttackAttempt("shm", full), AttackAttempt("dev", full),
                AttackAttempt("inodes", full),
            ], isExhaustion: true),
        AttackRow(
            "page-cache", "a file larger than the memory limit, read over and over", [.memoryLimit],
            [AttackAttempt("cache", ["bounded"])], isExhaustion: true),
        AttackRow(
            "cpu-spin", "four processes that calculate", [.processorLimit],
            [AttackAttempt("spin", ["bounded"])], isExhaustion: true),
        AttackRow(
            "io-flood", "writes past the cache, as many as the disk takes", [.trafficLimit],
            [AttackAttempt("write", ["bounded"])], isExhaustion: true),
        AttackRow(
            "disk-fill", "a volume filled by writing and by allocating", [.quota],
            [AttackAttempt("write", full), AttackAttempt("allocate", full)], isExhaustion: true),
        AttackRow(
            "inode-fill", "4,000 files on a volume", [.quota], [AttackAttempt("files", full)], isExhaustion: true),
        AttackRow(
            "descriptors", "2,000 descriptors of files, sockets and epoll", [.resourceLimits],
            [
                AttackAttempt("files", ["EMFILE"]), AttackAttempt("sockets", ["EMFILE"]),
                AttackAttempt("epoll", ["EMFILE"]),
            ], isExhaustion: true),
        AttackRow(
            "inotify", "all inotify instances of its user, who without guards is the node's root",
            [.userNamespace], [AttackAttempt("instances", ["EMFILE"])], isExhaustion: true),
        AttackRow(
            "log-flood", "a gigabyte of log lines", [.logRate],
            [AttackAttempt("output", ["bounded"])], isExhaustion: true, stage: .workload),
        AttackRow(
            "connection-flood", "new connections, as many as the wire takes", [.firewall],
            [AttackAttempt("connections", ["bounded"])], isExhaustion: true, stage: .wired),
        AttackRow(
            "mlock", "4 MiB locked in memory, and all of it", [.resourceLimits, .userNamespace, .noCapabilities],
            [
                AttackAttempt("mlock", ["ENOMEM", "EPERM"]), AttackAttempt("mlockall", ["ENOMEM", "EPERM"]),
                AttackAttempt("memfd-secret", ["EAGAIN", "ENOSYS", "EPERM"], missing: ["ENOSYS"]),
            ], isExhaustion: true),
    ]
}
