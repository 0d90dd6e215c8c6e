import CAttack
import Glibc

extension Attack {
    /// Rows whose success is that the kernel took the call and found fault with something else than the right to it.
    private static func reached(_ result: Int64, _ faults: [Int32], _ what: String) -> Said {
        guard result < 0, faults.contains(Int32(-result)) else { return Said(result, result < 0 ? "" : what) }
        return .succeeded("\(what): \(String(cString: attack_error_name(Int32(-result))))")
    }

    static let kernelCalls = [
        Attack(
            "modules",
            [
                Attempt("init") {
                    reached(call("init_module", zeros(64), 64, text("")), [ENOEXEC, EINVAL], "the loader read it")
                },
                Attempt("finit") {
                    let file = opened("/proc/self/exe", O_RDONLY)
                    return reached(
                        call("finit_module", UInt64(max(0, file)), text(""), 0), [ENOEXEC, EINVAL, ETXTBSY],
                        "the loader read it")
                },
                Attempt("delete") {
                    reached(call("delete_module", text("apus_attack"), 0x800), [ENOENT], "the kernel looked for it")
                },
            ]),
        Attack(
            "kexec-reboot",
            [
                // No segments: whatever was loaded is unloaded.
                Attempt("kexec-load") { Said(call("kexec_load", 0, 0, 0, 0)) },
                Attempt("kexec-file") {
                    reached(
                        call("kexec_file_load", minusOne, minusOne, 0, text(""), 0), [EBADF, EINVAL, ENOEXEC],
                        "the kernel looked at the file")
                },
                // Ctrl-Alt-Del off, which systemd has done already.
                Attempt("reboot") { Said(call("reboot", 0xFEE1_DEAD, 672_274_793, 0, 0)) },
            ]),
        Attack("swap", [Attempt("swapon") { swapOn() }]),
        Attack(
            "bpf",
            [
                // BPF_MAP_CREATE: type array, keys and values of four bytes, one entry.
                Attempt("map") { Said(call("bpf", 0, words([2, 4, 4, 1] + [UInt32](repeating: 0, count: 28)), 72)) }
            ]),
        Attack("perf", [Attempt("event") { Said(call("perf_event_open", event, 0, minusOne, minusOne, 0)) }]),
        Attack("userfaultfd", [Attempt("descriptor") { Said(call("userfaultfd", 0)) }]),
        Attack("io-uring", [Attempt("setup") { Said(call("io_uring_setup", 4, zeros(120))) }]),
        Attack(
            "keyring",
            [
                Attempt("add") {
                    // KEY_SPEC_PROCESS_KEYRING
                    Said(call("add_key", text("user"), text("apus"), text("x"), 1, UInt64(bitPattern: -2)))
                },
                Attempt("request") {
                    reached(
                        call("request_key", text("user"), text("apus-nothing"), 0, 0), [ENOKEY], "the kernel searched")
                },
                // KEYCTL_GET_KEYRING_ID of the session's keyring.
                Attempt("keyctl") {
                    reached(call("keyctl", 0, UInt64(bitPattern: -3), 0), [ENOKEY], "the kernel searched")
                },
            ]),
        Attack(
            "file-handles",
            [
                Attempt("name") { handle(opens: false) },
                Attempt("open") { handle(opens: true) },
            ]),
        // The time zone, which nothing reads, takes the same right as the time.
        Attack(
            "clock", [Attempt("set") { Said(call("settimeofday", 0, words([0, 0]))) }]),
    ]

    /// struct perf_event_attr: PERF_TYPE_SOFTWARE, its first size, PERF_COUNT_SW_TASK_CLOCK; disabled.
    private static var event: UInt64 {
        words([1, 64, 1, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt32](repeating: 0, count: 24))
    }

    /// struct file_handle of a file of the volume, and the file again from it.
    private static func handle(opens: Bool) -> Said {
        let bytes = 128
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes + 8, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes + 8)
        memory.storeBytes(of: UInt32(bytes), as: UInt32.self)
        let address = UInt64(UInt(bitPattern: memory))
        let mount = zeros(8)
        let named = call("name_to_handle_at", currentDirectory, text("/data"), address, mount, 0)
        guard opens else { return Said(named) }
        let directory = opened("/data", O_RDONLY)
        return Said(call("open_by_handle_at", UInt64(max(0, directory)), address, 0))
    }

    /// A real swap file on the volume (mkswap(8)), which is taken away again.
    private static func swapOn() -> Said {
        let path = "/data/swap"
        let pages = 32
        let file = opened(path, O_RDWR | O_CREAT | O_TRUNC)
        guard file >= 0 else { return Said(file, "open") }
        defer {
            close(Int32(file))
            unlink(path)
        }
        var bytes = [UInt8](repeating: 0, count: pages * 4096)
        for (offset, value) in [(1024, UInt32(1)), (1028, UInt32(pages - 1))] {
            withUnsafeBytes(of: value) { bytes.replaceSubrange(offset..<offset + 4, with: $0) }
        }
        bytes.replaceSubrange(4086..<4096, with: Array("SWAPSPACE2".utf8))
        guard write(Int32(file), bytes, bytes.count) == bytes.count, fsync(Int32(file)) == 0 else {
            return Said(-Int64(errno), "write")
        }
        let said = Said(call("swapon", text(path), 0))
        if said.word == "succeeded" { _ = call("swapoff", text(path)) }
        return said
    }
}
