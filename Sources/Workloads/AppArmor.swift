/// The AppArmor profile of all workloads: a second wall behind seccomp and the mounts. Its text is
/// `os/apparmor/apus-workload`, which the build of the reference OS compiles (apparmor.d(5)).
public enum AppArmor {
    /// The profile's name.
    public static let profileName = "apus-workload"
}
