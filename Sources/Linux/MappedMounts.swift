internal import CLinux
internal import Glibc

extension Mounts {
    /// Shows a directory at a second place with its owners 0 to `count` - 1 shown as `firstID` and up, so that a file
    /// system whose owners are a workload's own numbers fits the workload's user namespace (mount_setattr(2)).
    public static func mapped(
        _ source: String, on target: String, firstID: UInt32, count: UInt32
    ) throws(SystemError) {
        try Files.makeDirectory(target)
        try check(apus_mount_mapped(source, target, firstID, count), "show \(source) with mapped owners at", target)
    }
}

extension Files {
    /// Gives a path to an owner; a symbolic link itself, not what it leads to.
    public static func setOwner(_ path: String, user: UInt32, group: UInt32) throws(SystemError) {
        try check(apus_chown(path, user, group), "give away", path)
    }

    /// Reads a whole small file below a directory whose content is not trusted: no link in it leads outside.
    ///
    /// Throws `EINVAL` for anything but an ordinary file.
    public static func read(
        _ path: String, inside root: String, limitBytes: Int
    ) throws(SystemError) -> [UInt8] {
        let directory = try OwnedDescriptor(opening: root, [.path, .directory])
        let file = OwnedDescriptor(
            adopting: try check(apus_open_in_root(directory.rawValue, path), "open", root + path), path: root + path)
        guard case .regular = try file.status().kind else {
            throw SystemError("read", root + path, code: EINVAL, detail: "it is no ordinary file")
        }
        var bytes: [UInt8] = []
        while true {
            let part = try file.read(atMost: min(64 << 10, limitBytes + 1 - bytes.count))
            if part.isEmpty { return bytes }
            bytes += part
            guard bytes.count <= limitBytes else {
                throw SystemError("read", root + path, code: EFBIG, detail: "more than \(limitBytes) bytes")
            }
        }
    }

    /// Whether a path lies on the unified control group file system (cgroup2, by its magic number in linux/magic.h).
    public static func isUnifiedCgroup(_ path: String) -> Bool {
        var space = apus_space()
        return apus_space(path, &space) == 0 && space.type == 0x6367_7270
    }
}

extension Files {
    /// Whether a path shows a namespace that was bound there (nsfs, by its magic number in linux/magic.h).
    public static func isNamespace(_ path: String) -> Bool {
        var space = apus_space()
        return apus_space(path, &space) == 0 && space.type == 0x6e73_6673
    }
}

/// Hard limits for directories, by the file system's project quotas (quotactl(2), "project").
public enum ProjectQuota {
    /// Puts a directory, and all that is made in it from now on, under a project.
    public static func assign(_ project: UInt32, to directory: String) throws(SystemError) {
        try check(apus_set_project(directory, project), "put under a project's quota", directory)
    }

    /// Sets a project's hard limits on the file system that a directory lies on.
    public static func limit(
        _ project: UInt32, on directory: String, bytes: UInt64, inodes: UInt64
    ) throws(SystemError) {
        let result = apus_set_project_limits(directory, project, bytes, inodes)
        try check(
            result, "limit", directory,
            detail: result == -ESRCH || result == -ENOSYS ? "its file system has no project quotas" : "")
    }

    /// What a project uses on the file system that a directory lies on.
    public static func usage(
        _ project: UInt32, on directory: String
    ) throws(SystemError) -> (bytes: UInt64, inodes: UInt64) {
        var bytes: UInt64 = 0
        var inodes: UInt64 = 0
        try check(apus_project_usage(directory, project, &bytes, &inodes), "ask what a project uses on", directory)
        return (bytes, inodes)
    }
}

extension Processes {
    /// Moves the calling thread, and it alone, into the network namespace at a path. The thread is not to be used for
    /// anything else afterwards.
    public static func enterNetwork(_ path: String) throws(SystemError) {
        let file = try OwnedDescriptor(opening: path, .read)
        try check(apus_setns(file.rawValue, apus_clone_newnet), "enter the network", path)
    }
}
