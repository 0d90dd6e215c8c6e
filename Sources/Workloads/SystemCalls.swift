/// The system calls of x86-64 by what workloads may do with them (`syscalls(2)`).
///
/// `clone`, `clone3`, `socket`, `socketpair`, `personality` and `ioctl` are missing: they depend on an argument, or on
/// a C library's way back. Whatever stands in no list answers that it does not exist.
enum SystemCalls {
    /// What C libraries and the runtimes of Go, Java, Python and JavaScript use, and what cannot reach beyond the
    /// workload.
    static let allowed = files + memory + processes + time + networking + messages + identity

    private static let files = words(
        """
        read write open openat openat2 creat close close_range stat fstat lstat newfstatat statx access faccessat
        faccessat2 lseek pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 pipe pipe2 dup dup2 dup3 fcntl
        flock fsync fdatasync sync syncfs sync_file_range truncate ftruncate fallocate fadvise64 readahead
        copy_file_range sendfile splice tee getdents getdents64 getcwd chdir fchdir chroot rename renameat renameat2
        mkdir mkdirat rmdir link linkat unlink unlinkat symlink symlinkat readlink readlinkat chmod fchmod fchmodat
        fchmodat2 chown fchown lchown fchownat umask utime utimes utimensat futimesat mknod mknodat statfs fstatfs
        setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr
        lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat inotify_init inotify_init1
        inotify_add_watch inotify_rm_watch poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait
        epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 io_setup io_destroy io_submit io_getevents
        io_pgetevents io_cancel cachestat
        """)

    private static let memory = words(
        """
        mmap munmap mprotect mremap msync mincore madvise brk mlock mlock2 munlock mlockall munlockall memfd_create
        memfd_secret remap_file_pages pkey_alloc pkey_free pkey_mprotect membarrier process_madvise process_mrelease
        map_shadow_stack mseal
        """)

    private static let processes = words(
        """
        fork vfork execve execveat exit exit_group wait4 waitid kill tkill tgkill rt_sigaction rt_sigprocmask
        rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend sigaltstack pause
        getpid gettid getppid getpgid getpgrp setpgid getsid setsid set_tid_address set_robust_list get_robust_list
        rseq futex futex_waitv futex_wait futex_wake futex_requeue arch_prctl prctl getrlimit setrlimit prlimit64
        getrusage sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler
        sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_setaffinity sched_getaffinity
        sched_getattr sched_setattr getpriority setpriority ioprio_get ioprio_set getcpu restart_syscall pidfd_open
        pidfd_send_signal seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self getrandom uname
        sysinfo times
        """)

    private static let time = words(
        """
        time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer setitimer timer_create
        timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_gettime
        """)

    private static let networking = words(
        """
        bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt sendto recvfrom
        sendmsg recvmsg sendmmsg recvmmsg
        """)

    private static let messages = words(
        """
        shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink
        mq_timedsend mq_timedreceive mq_notify mq_getsetattr
        """)

    private static let identity = words(
        """
        getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid getresuid setresgid getresgid setfsuid
        setfsgid getgroups setgroups capget capset
        """)

    /// What reaches other processes of the workload; allowed with the permission `debugging`.
    static let debugging = words("ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd")

    /// What is refused with EPERM, so that a program sees that it may not, instead of that it does not exist.
    static let denied = words(
        """
        mount umount2 pivot_root open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr
        statmount listmount unshare setns add_key request_key keyctl bpf perf_event_open userfaultfd io_uring_setup
        io_uring_enter io_uring_register open_by_handle_at name_to_handle_at kexec_load kexec_file_load init_module
        finit_module delete_module create_module query_module get_kernel_syms reboot swapon swapoff vmsplice
        modify_ldt iopl ioperm acct quotactl quotactl_fd syslog settimeofday clock_settime clock_adjtime adjtimex
        sethostname setdomainname vhangup fanotify_init fanotify_mark lookup_dcookie nfsservctl uselib ustat sysfs
        _sysctl move_pages migrate_pages mbind set_mempolicy set_mempolicy_home_node get_mempolicy
        """)

    private static func words(_ text: String) -> [String] {
        text.split { $0 == " " || $0 == "\n" }.map(String.init)
    }
}
