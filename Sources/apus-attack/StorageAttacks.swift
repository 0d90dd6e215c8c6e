import CAttack
import Glibc

extension Attack {
    static let storage = [
        Attack(
            "disk-fill",
            [
                Attempt("write") { Pace.pressing(times: 50) { fill("/data/fill", 160 << 20) } },
                Attempt("allocate") { allocate() },
            ]),
        Attack("inode-fill", [Attempt("files") { Pace.pressing(times: 50) { manyFiles("/data", 4000) } }]),
        Attack("io-flood", [Attempt("write") { flood() }]),
        Attack("log-flood", [Attempt("output") { logFlood() }]),
    ]

    private static func allocate() -> Said {
        let path = "/data/allocated"
        let file = opened(path, O_WRONLY | O_CREAT | O_TRUNC)
        guard file >= 0 else { return Said(file, "open") }
        defer {
            close(Int32(file))
            unlink(path)
        }
        return Said(-Int64(posix_fallocate(Int32(file), 0, 160 << 20)))
    }

    /// Writes past the cache as fast as the disk takes it; the lab's document allows 16 MiB a second.
    private static func flood() -> Said {
        let path = "/data/flood"
        let file = opened(path, O_WRONLY | O_CREAT | O_TRUNC)
        guard file >= 0 else { return Said(file, "open") }
        defer {
            close(Int32(file))
            unlink(path)
        }
        let begin = attack_now()
        let deadline = Pace.deadline
        let piece = [UInt8](repeating: 0x5A, count: 1 << 20)
        var written: Int64 = 0
        while attack_now() < deadline, written < 16 << 30 {
            let count = pwrite(Int32(file), piece, piece.count, off_t(written % (32 << 20)))
            guard count > 0, fdatasync(Int32(file)) == 0 else { return Said(-Int64(errno)) }
            written += Int64(count)
        }
        let rate = written * 1_000_000 / max(1, attack_now() - begin)
        let detail = "\(rate >> 10) KiB a second"
        return rate > 24 << 20 ? .succeeded(detail) : Said("bounded", detail)
    }

    /// A gigabyte of lines, as fast as the log takes them. What is kept of it is counted from outside.
    private static func logFlood() -> Said {
        let line = Array((String(repeating: "flood ", count: 170) + "\n").utf8)
        let piece = (0..<64).flatMap { _ in line }
        let deadline = attack_now() + Int64(Pace.seconds) * 4_000_000
        var written: Int64 = 0
        while written < 1 << 30, attack_now() < deadline {
            let count = write(2, piece, piece.count)
            guard count > 0 else { return Said(-Int64(errno), "after \(written >> 20) MiB") }
            written += Int64(count)
        }
        return Said("written", "\(written >> 20) MiB")
    }
}
