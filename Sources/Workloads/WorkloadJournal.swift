/// Each workload's log: a journal of its own (systemd.exec(5), `LogNamespace=`), so that a flood displaces nothing but
/// the lines of the workload itself, and takes no more of the disk than its document says.
public enum WorkloadJournal {
    /// The least that a document may ask to be kept, in bytes: a journal's file has at least 512 KiB, and there are at
    /// least two beside the one that is written.
    public static let minimumBytes: UInt64 = 2 << 20
    private static let prefix = "apus-"

    /// The journal's name.
    public static func namespace(_ workload: WorkloadName) -> String { prefix + workload.rawValue }

    /// Whose a directory of journals is, such as `0123….apus-web` (systemd-journald.service(8)); nil for others'.
    public static func workload(directory: String) -> WorkloadName? {
        guard let dot = directory.firstIndex(of: ".") else { return nil }
        let namespace = directory[directory.index(after: dot)...]
        return namespace.hasPrefix(prefix) ? WorkloadName(String(namespace.dropFirst(prefix.count))) : nil
    }

    /// The directory below systemd's own that its settings are read from (journald.conf(5)).
    public static func settingsDirectory(_ workload: WorkloadName) -> String {
        "journald@\(namespace(workload)).conf.d"
    }

    /// The settings of a journal that never takes more than so many bytes.
    ///
    /// What is old goes when a new file begins, which then grows to its full size: that one is set aside.
    public static func settings(bytes: UInt64) -> String {
        let wanted = max(bytes, minimumBytes)
        let file = min(max(wanted / 8, 512 << 10), 128 << 20) / 4096 * 4096
        return """
            [Journal]
            Storage=persistent
            SystemMaxUse=\(wanted - file)
            SystemMaxFileSize=\(file)
            SystemKeepFree=256M
            MaxRetentionSec=3month
            SplitMode=none
            ForwardToSyslog=no
            ForwardToWall=no

            """
    }
}
