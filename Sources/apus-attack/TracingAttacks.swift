import CAttack
import Glibc

extension Attack {
    static let tracing = [
        Attack(
            "tracing",
            [
                Attempt("ptrace") {
                    // PTRACE_SEIZE
                    onSibling { Said(call("ptrace", 0x4206, UInt64($0), 0, 0)) }
                },
                Attempt("process-vm-readv") {
                    onSibling { process in
                        let vector = zeros(16)
                        let target = UnsafeMutablePointer<UInt64>(bitPattern: UInt(vector))
                        target?[0] = secret
                        target?[1] = 8
                        let local = zeros(16)
                        let buffer = UnsafeMutablePointer<UInt64>(bitPattern: UInt(local))
                        buffer?[0] = zeros(8)
                        buffer?[1] = 8
                        return Said(call("process_vm_readv", UInt64(process), local, 1, vector, 1, 0))
                    }
                },
                Attempt("pidfd-getfd") {
                    onSibling { process in
                        let handle = call("pidfd_open", UInt64(process), 0)
                        guard handle >= 0 else { return Said(handle, "pidfd_open") }
                        return Said(call("pidfd_getfd", UInt64(handle), 1, 0))
                    }
                },
                Attempt("kcmp") {
                    onSibling { Said(call("kcmp", UInt64($0), UInt64(getpid()), 0, 1, 1)) }
                },
            ])
    ]

    /// Where every process of this program has something of its own.
    private static let secret = zeros(8)

    /// Tries something on a process that is neither a parent nor a child of this one.
    private static func onSibling(_ body: (Int32) -> Said) -> Said {
        let child = attack_fork()
        if child == 0 {
            alarm(30)
            while true { pause() }
        }
        guard child > 0 else { return Said(Int64(child), "fork") }
        let said = body(child)
        kill(child, SIGKILL)
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = attack_wait(child, 1, &status, &signal)
        return said
    }
}
