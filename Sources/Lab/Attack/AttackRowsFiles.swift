extension AttackRow {
    /// Files and devices.
    static let files: [AttackRow] = [
        AttackRow(
            "mknod", "device nodes on a volume and in /dev",
            [.userNamespace, .noCapabilities], ["character", "block", "in-dev"].map { AttackAttempt($0, ["EPERM"]) }),
        AttackRow(
            "device-open", "memory, kernel log, KVM, FUSE, loop control, device mapper, disks",
            [.ownDevices, .devicePolicy, .userNamespace, .noCapabilities],
            ["mem", "port", "kmsg", "kvm", "fuse", "loop-control", "mapper", "virtio-disk", "scsi-disk"].map {
                AttackAttempt($0, ["ENOENT", "EPERM", "EACCES"], missing: ["ENXIO", "ENODEV", "ENOENT"])
            }),
        AttackRow(
            "usb-device", "a USB device that was not granted",
            [.ownDevices, .devicePolicy, .emptySys, .userNamespace, .noCapabilities],
            [
                AttackAttempt("node", ["ENOENT"], missing: ["ENXIO", "ENODEV", "ENOENT"]),
                AttackAttempt("made-node", ["EPERM"], missing: ["ENXIO", "ENODEV"]),
                AttackAttempt("sysfs", ["ENOENT"], missing: ["ENOENT", "ENODEV", "EINVAL"]),
            ]),
        AttackRow(
            "kernel-files-write", "core_pattern, modprobe, sysrq-trigger, uevent_helper, powercap, attr",
            [.readOnlyPaths, .emptySys, .userNamespace, .noCapabilities, .appArmor],
            ["core-pattern", "modprobe", "overcommit", "sysrq"].map {
                AttackAttempt($0, ["EROFS", "EACCES", "EPERM", "ENOENT"], missing: ["ENOENT"])
            }
                + ["uevent-helper", "powercap"].map { AttackAttempt($0, ["ENOENT"], missing: ["ENOENT"]) }
                + [
                    AttackAttempt("attribute", ["EACCES", "EINVAL", "EPERM"], missing: ["EACCES", "EINVAL", "ENOENT"])
                ],
            isHarmful: true),
        AttackRow(
            "kernel-files-read", "kcore, keys, timer list, symbols, modules, interrupts, kernel log, firmware",
            [.maskedPaths, .emptySys, .userNamespace, .noCapabilities, .appArmor],
            ["kcore", "keys", "key-users", "timer_list", "kallsyms", "modules", "interrupts", "kmsg", "slabinfo"].map {
                AttackAttempt($0, ["empty", "ENOENT", "EACCES", "EPERM"], missing: ["ENOENT", "empty", "EAGAIN"])
            }
                + ["firmware", "sys-devices"].map {
                    AttackAttempt($0, ["ENOENT", "empty", "EACCES"], missing: ["ENOENT", "empty"])
                }),
        AttackRow(
            "cgroup-escape", "release_agent, its own limits, a new group",
            [.filter, .noCapabilities, .userNamespace, .groupNamespace, .emptySys, .appArmor],
            [
                AttackAttempt("mount", ["EPERM"]),
                AttackAttempt("release-agent", ["ENOENT", "EROFS", "EACCES"], missing: ["ENOENT"]),
                AttackAttempt("memory-max", ["EROFS", "EACCES", "ENOENT"], missing: ["ENOENT"]),
                AttackAttempt("new-group", ["EROFS", "EACCES", "ENOENT"], missing: ["EPERM"]),
            ]),
        AttackRow(
            "root-write", "writing to the image's files", [.readOnlyRoot],
            ["file", "program"].map { AttackAttempt($0, ["EROFS", "EACCES"]) }),
        AttackRow(
            "set-id", "set-user-id programs of the image and of its own making",
            [.noNewPrivileges, .mountFlags, .noCapabilities, .userNamespace, .layerRules],
            [
                AttackAttempt("user", ["unchanged"]),
                AttackAttempt("volume", ["EPERM", "unchanged"]),
            ]),
        AttackRow(
            "runtime-program", "overwriting the runtime's program through /proc/PID/exe",
            [.userNamespace, .noCapabilities, .runtime],
            [AttackAttempt("overwrite", ["EACCES", "EPERM", "ENOENT", "ETXTBSY", "EROFS", "unseen"])], stage: .entered),
        AttackRow(
            "working-directory", "a working directory in /proc/self/fd",
            [.runtime], [AttackAttempt("above-the-root", ["inside", "refused"])], stage: .workload),
        AttackRow(
            "device-races", "/dev/null and /dev/console swapped for links while it is entered, 1,000 times",
            [.runtime, .userNamespace],
            ["null", "console"].map { AttackAttempt($0, ["unchanged"]) }, stage: .entered),
    ]
}
