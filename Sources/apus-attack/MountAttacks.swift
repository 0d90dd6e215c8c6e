import CAttack
import Glibc

extension Attack {
    private static let scratch = "/scratch"

    static let mounts = [
        Attack(
            "mount",
            [
                Attempt("tmpfs") { mounted("none", scratch, "tmpfs", 0) },
                Attempt("proc") { mounted("proc", scratch, "proc", 0) },
                Attempt("sysfs") { mounted("sysfs", scratch, "sysfs", 0) },
                Attempt("bind") { mounted("/proc", scratch, "", 4096) },
                // MS_REMOUNT | MS_BIND without MS_RDONLY
                Attempt("remount") { Said(call("mount", 0, text("/etc/hosts"), 0, 32 | 4096, 0)) },
                Attempt("unmask") { Said(call("umount2", text("/proc/keys"), 2)) },
                Attempt("fsopen") { Said(call("fsopen", text("tmpfs"), 0)) },
                // OPEN_TREE_CLONE
                Attempt("open-tree") { Said(call("open_tree", currentDirectory, text("/proc"), 1)) },
                Attempt("fspick") { Said(call("fspick", currentDirectory, text(scratch), 0)) },
                Attempt("mount-setattr") {
                    Said(call("mount_setattr", currentDirectory, text(scratch), 0, zeros(32), 32))
                },
                Attempt("move-mount") { moveMount() },
                Attempt("pivot-root") { pivotRoot() },
            ]),
        Attack(
            "namespaces",
            [
                Attempt("unshare-user") { Said(call("unshare", 0x1000_0000)) },
                Attempt("unshare-mount") { Said(call("unshare", 0x0002_0000)) },
                Attempt("unshare-net") { Said(call("unshare", 0x4000_0000)) },
                Attempt("clone-user") { clone(0x1000_0000) },
                Attempt("clone3-user") { clone3() },
            ]),
        Attack(
            "setns",
            [
                Attempt("uts") {
                    let file = opened("/proc/self/ns/uts", O_RDONLY)
                    guard file >= 0 else { return Said(file) }
                    return Said(call("setns", UInt64(file), 0))
                },
                Attempt("process") {
                    let handle = call("pidfd_open", UInt64(getppid()), 0)
                    guard handle >= 0 else { return Said(handle, "pidfd_open") }
                    // CLONE_NEWUTS
                    return Said(call("setns", UInt64(handle), 0x0400_0000))
                },
            ]),
    ]

    private static func mounted(_ source: String, _ target: String, _ type: String, _ flags: UInt64) -> Said {
        let said = Said(call("mount", text(source), text(target), text(type), flags, 0))
        if said.word == "succeeded" { _ = call("umount2", text(target), 2) }
        return said
    }

    private static func moveMount() -> Said {
        let tree = call("open_tree", currentDirectory, text("/proc"), 1)
        // MOVE_MOUNT_F_EMPTY_PATH; without a tree the call itself is still judged.
        let said = Said(
            call("move_mount", tree < 0 ? minusOne : UInt64(tree), text(""), currentDirectory, text(scratch), 4))
        if said.word == "succeeded" { _ = call("umount2", text(scratch), 2) }
        return said
    }

    private static func pivotRoot() -> Said {
        // In a mount namespace of its own where one can be had, so that the container goes on.
        _ = call("unshare", 0x0002_0000)
        _ = call("mount", text("none"), text(scratch), text("tmpfs"), 0, 0)
        mkdir("\(scratch)/old", 0o755)
        return Said(call("pivot_root", text(scratch), text("\(scratch)/old")))
    }

    private static func clone(_ flags: UInt64) -> Said {
        let child = call("clone", flags | UInt64(SIGCHLD), 0, 0, 0, 0)
        if child == 0 { attack_exit(0) }
        return Said(child)
    }

    /// struct clone_args hides its flags in memory.
    private static func clone3() -> Said {
        let memory = zeros(88)
        let fields = UnsafeMutablePointer<UInt64>(bitPattern: UInt(memory))
        fields?[0] = 0x1000_0000
        fields?[4] = UInt64(SIGCHLD)
        let child = call("clone3", memory, 88)
        if child == 0 { attack_exit(0) }
        return Said(child)
    }
}
