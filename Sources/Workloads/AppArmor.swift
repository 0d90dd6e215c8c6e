/// The AppArmor profile of all workloads: a second wall behind seccomp and the mounts (apparmor.d(5)).
public enum AppArmor {
    /// The profile's name.
    public static let profileName = "apus-workload"

    /// The profile's text for `apparmor_parser --replace`. The agent loads it once at its start.
    ///
    /// It is not narrowed to paths of one workload, whose view is its mount namespace; it denies what no workload
    /// does: mounts, tracing of what has another profile, and the kernel's own files.
    public static let profile = """
        abi <abi/3.0>,
        @{PROC}=/proc/
        profile \(profileName) flags=(attach_disconnected,mediate_deleted) {
          network inet,
          network inet6,
          network unix,
          capability,
          file,
          umount,
          signal (receive) peer=unconfined,
          signal (send,receive) peer=\(profileName),
          ptrace (trace,read,tracedby,readby) peer=\(profileName),
          unix,
          deny mount,
          deny pivot_root,
          deny @{PROC}/{acpi,asound,kcore,keys,kmsg,kallsyms,timer_list,sched_debug,scsi}{,/**} rwklx,
          deny @{PROC}/sys/** wklx,
          deny @{PROC}/sysrq-trigger rwklx,
          deny @{PROC}/[0-9]*/attr/** wklx,
          deny /sys/** wklx,
          deny /sys/firmware/** rwklx,
          deny /sys/kernel/security/** rwklx,
          deny /dev/{mem,kmem,kmsg,port,kvm,fuse}{,/**} rwklx,
        }

        """
}
