import Testing

@testable import Workloads

@Suite struct SeccompProfiles {
    static let profile = SeccompProfile(permissions: [])

    /// Every call that the posture forbids, by name.
    static let forbidden = [
        "mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount",
        "mount_setattr", "unshare", "setns", "keyctl", "add_key", "request_key", "bpf", "perf_event_open",
        "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "ptrace", "process_vm_readv",
        "process_vm_writev", "pidfd_getfd", "kcmp", "open_by_handle_at", "kexec_load", "kexec_file_load",
        "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "vmsplice", "modify_ldt",
        "iopl", "ioperm", "syslog", "settimeofday", "clock_settime", "acct", "quotactl",
    ]

    /// What programs of glibc, musl, busybox, Go and Java were seen to need, the odd ones first.
    static let needed = [
        "rseq", "set_robust_list", "prlimit64", "arch_prctl", "set_tid_address", "getrandom", "futex", "membarrier",
        "sched_getaffinity", "sched_yield", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill",
        "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "timerfd_create", "timer_create", "timer_settime",
        "nanosleep", "clock_nanosleep", "madvise", "mincore", "mremap", "mprotect", "brk", "mmap", "munmap", "openat",
        "openat2", "newfstatat", "statx", "getdents64", "readlinkat", "faccessat2", "execve", "vfork", "fork", "wait4",
        "waitid", "pipe2", "dup3", "accept4", "bind", "listen", "connect", "sendmmsg", "recvmmsg", "sendfile",
        "splice", "copy_file_range", "inotify_init1", "inotify_add_watch", "memfd_create", "getpid", "gettid",
        "getppid", "setsid", "setpgid", "uname", "sysinfo", "getrusage", "prctl", "seccomp", "capget", "capset",
        "setgroups", "setuid", "setgid", "umask", "chmod", "fchownat", "unlinkat", "renameat2", "linkat", "symlinkat",
        "mkdirat", "mknodat", "utimensat", "fallocate", "ftruncate", "fsync", "fdatasync", "flock", "fcntl",
        "pread64", "pwritev2", "shmget", "semop", "mq_open", "io_setup", "io_submit", "pidfd_open",
        "pidfd_send_signal", "close_range", "landlock_create_ruleset", "getcpu", "kill", "pause", "ppoll", "pselect6",
        "restart_syscall", "exit_group", "chroot", "execveat", "alarm", "times", "getcwd", "chdir",
    ]

    @Test(arguments: forbidden) func whatThePostureForbidsIsRefused(_ name: String) {
        #expect(Self.profile.answer(name) == .error(1))
    }

    @Test(arguments: needed) func whatRuntimesNeedIsAllowed(_ name: String) {
        #expect(Self.profile.answer(name) == .allow)
    }

    @Test func whatIsUnknownDoesNotExist() {
        #expect(Self.profile.answer("a_call_of_next_year") == .error(38))
        #expect(Self.profile.answer("clone3") == .error(38))
    }

    @Test func otherCallingConventionsEndTheProcess() {
        #expect(Self.profile.answer("getpid", convention: .i386) == .kill)
        #expect(Self.profile.answer("getpid", convention: .x32) == .kill)
        #expect(Self.profile.value["architectures"] == .array([.string("SCMP_ARCH_X86_64")]))
    }

    @Test func threadsAndProcessesAreMadeButNoNamespaces() {
        // What pthread_create of glibc and a plain fork ask for.
        #expect(Self.profile.answer("clone", [0x3D_0F00]) == .allow)
        #expect(Self.profile.answer("clone", [0x0120_0011]) == .allow)
        for bit in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] as [UInt64] {
            #expect(Self.profile.answer("clone", [bit | 17]) == .error(1))
            #expect(Self.profile.answer("clone", [bit | 0x1000_0000]) == .error(1))
        }
    }

    @Test func onlyThreeFamiliesOfSocketsExist() {
        for family in UInt64(0)..<64 {
            let expected: SeccompAction = [1, 2, 10].contains(family) ? .allow : .error(97)
            #expect(Self.profile.answer("socket", [family, 1, 0]) == expected)
            #expect(Self.profile.answer("socketpair", [family, 1, 0]) == expected)
        }
        // The kernel would cut this down to AF_INET; the filter does not let it come that far.
        #expect(Self.profile.answer("socket", [1 << 32 | 2]) == .error(97))
    }

    @Test func aTerminalCannotBeTypedInto() {
        for high in [0, 1 << 32, 0xFFFF_FFFF << 32] as [UInt64] {
            #expect(Self.profile.answer("ioctl", [0, high | 0x5412]) == .error(1))
            #expect(Self.profile.answer("ioctl", [0, high | 0x541C]) == .error(1))
        }
        for number in UInt64(0)..<0x10000 where number != 0x5412 && number != 0x541C {
            guard Self.profile.answer("ioctl", [0, number]) == .allow else {
                Issue.record("ioctl \(number) is refused")
                return
            }
        }
        #expect(Self.profile.answer("ioctl", [0, 0xC020_660B]) == .allow)
    }

    @Test func personalityIsAskedForAndNotChanged() {
        #expect(Self.profile.answer("personality", [0xFFFF_FFFF]) == .allow)
        #expect(Self.profile.answer("personality", [0]) == .allow)
        for value in [0x0040000, 0x0400000, 8, 0x0020000] as [UInt64] {
            #expect(Self.profile.answer("personality", [value]) != .allow)
        }
    }

    @Test func onlyDebuggingIsLoosenedByDebugging() {
        let loosened = SeccompProfile(permissions: [.debugging])
        for name in Self.forbidden + Self.needed where Self.profile.answer(name) != loosened.answer(name) {
            #expect(SystemCalls.debugging.contains(name))
            #expect(loosened.answer(name) == .allow)
        }
        for permission in WorkloadPermission.allCases where permission != .debugging {
            #expect(SeccompProfile(permissions: [permission]) == Self.profile)
        }
    }

    /// The order of rules must mean nothing, because libseccomp does not keep it.
    @Test func noCallHasTwoAnswers() {
        let all = SystemCalls.allowed + SystemCalls.denied + SystemCalls.debugging
        #expect(Set(all).count == all.count)
        let conditional = Set(Self.profile.rules.filter { $0.condition != nil }.flatMap(\.names))
        let unconditional = Self.profile.rules.filter { $0.condition == nil }.flatMap(\.names)
        #expect(conditional.isDisjoint(with: unconditional))
        var random = SystemRandomNumberGenerator()
        for name in conditional {
            for _ in 0..<500 {
                let value = UInt64.random(in: 0...UInt64.max, using: &random) & UInt64.random(in: 0...UInt64.max)
                let arguments = [value, value, value]
                let answers = Self.profile.rules.filter {
                    $0.names.contains(name) && $0.condition?.holds(arguments) ?? true
                }
                #expect(Set(answers.map(\.action)).count <= 1)
            }
        }
    }
}
