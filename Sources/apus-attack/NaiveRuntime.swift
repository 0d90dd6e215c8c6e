import CAttack
import Glibc

/// A runtime as careless as runtimes once were: what the rows about the runtime must succeed against.
///
/// It stands for a container runtime in the lab's unguarded run, and is run by root on a throw-away machine.
enum NaiveRuntime {
    /// Enters the namespaces of a process and does one careless thing there.
    static func enter(_ process: Int32, _ task: String) {
        // Kept open over the entering, and no longer reachable by any path from within: CVE-2024-21626.
        let outside = open("/", O_RDONLY)
        for name in ["pid", "mnt"] {
            let file = opened("/proc/\(process)/ns/\(name)", O_RDONLY)
            guard file >= 0, call("setns", UInt64(file), 0) >= 0 else { fail("cannot enter \(name)\n") }
        }
        guard chdir("/") == 0 else { fail("cannot go to the root\n") }
        let child = attack_fork()
        if child == 0 { perform(task, outside) }
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = attack_wait(child, 1, &status, &signal)
        exit(status)
    }

    private static func perform(_ task: String, _ outside: Int32) -> Never {
        switch task {
        // Its program is a file of the node, and lies open in the container for a moment: CVE-2019-5736.
        case "linger": attack_sleep_until(attack_now() + 50_000)
        // Masks a file with whatever is at the place of a device: CVE-2025-31133, CVE-2025-52565.
        case "mask-null": mask("/dev/null")
        case "mask-console": mask("/dev/console")
        case "working-directory":
            guard chdir("/proc/self/fd/\(outside)") == 0 else { fail("cannot go outside\n") }
            Attack.all.first { $0.row == task }?.play()
        default: fail("there is no task '\(task)'\n")
        }
        attack_exit(0)
    }

    private static func mask(_ device: String) {
        // MS_BIND
        for _ in 0..<8 where call("mount", text(device), text("/proc/keys"), 0, 4096, 0) >= 0 {
            attack_sleep_until(attack_now() + 25_000)
            _ = call("umount2", text("/proc/keys"), 2)
        }
    }
}
