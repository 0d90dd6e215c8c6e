import CAttack
import Glibc

extension Attack {
    /// Far more than the 64 MiB that the lab's document allows.
    private static let hogBytes = 256 << 20
    private static let pageBytes = 4096

    static let memory = [
        Attack("memory-hog", [Attempt("pages") { hog() }]),
        Attack("memfd-fill", [Attempt("memfd") { memfd() }]),
        Attack(
            "tmpfs-fill",
            [
                Attempt("tmpfs") { Pace.pressing { fill("/scratch/fill", 32 << 20) } },
                Attempt("shm") { Pace.pressing { fill("/dev/shm/fill", 32 << 20) } },
                Attempt("dev") { Pace.pressing(times: 50) { fill("/dev/fill", 8 << 20) } },
                Attempt("inodes") { Pace.pressing(times: 20) { manyFiles("/scratch", 6000) } },
            ]),
        Attack("page-cache", [Attempt("cache") { pageCache() }]),
        Attack(
            "mlock",
            [
                Attempt("mlock") {
                    let bytes = 4 << 20
                    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    return Said(call("mlock", UInt64(UInt(bitPattern: memory)), UInt64(bytes)))
                },
                Attempt("mlockall") { Said(call("mlockall", 3)) },
                Attempt("memfd-secret") {
                    let file = call("memfd_secret", 0)
                    guard file >= 0 else { return Said(file) }
                    let bytes = 4 << 20
                    guard ftruncate(Int32(file), off_t(bytes)) == 0 else { return Said(-Int64(errno)) }
                    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, Int32(file), 0)
                    return memory == MAP_FAILED ? Said(-Int64(errno)) : .succeeded("\(bytes) bytes are locked")
                },
            ]),
    ]

    private static func hog() -> Said {
        let deadline = Pace.deadline
        let memory = mmap(nil, hogBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { return Said(-Int64(errno)) }
        for offset in stride(from: 0, to: hogBytes, by: pageBytes) {
            memory.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
        }
        Pace.hold(until: deadline)
        return .succeeded("\(hogBytes >> 20) MiB are in memory")
    }

    private static func memfd() -> Said {
        let deadline = Pace.deadline
        let file = call("memfd_create", text("fill"), 0)
        guard file >= 0 else { return Said(file) }
        let said = fill(descriptor: Int32(file), hogBytes)
        if said.word == "succeeded" { Pace.hold(until: deadline) }
        return said
    }

    /// Fills a file and removes it.
    static func fill(_ path: String, _ bytes: Int) -> Said {
        let file = opened(path, O_WRONLY | O_CREAT | O_TRUNC)
        guard file >= 0 else { return Said(file, "open") }
        defer {
            close(Int32(file))
            unlink(path)
        }
        return fill(descriptor: Int32(file), bytes)
    }

    private static func fill(descriptor: Int32, _ bytes: Int) -> Said {
        let piece = [UInt8](repeating: 0x5A, count: 1 << 20)
        var written = 0
        while written < bytes {
            let count = write(descriptor, piece, min(piece.count, bytes - written))
            guard count > 0 else { return Said(-Int64(errno), "after \(written >> 10) KiB") }
            written += count
        }
        return .succeeded("\(written >> 20) MiB")
    }

    /// Makes empty files and removes them.
    static func manyFiles(_ directory: String, _ target: Int) -> Said {
        var made = 0
        var failure: Int32 = 0
        while made < target {
            let file = opened("\(directory)/f\(made)", O_WRONLY | O_CREAT)
            guard file >= 0 else {
                failure = errno
                break
            }
            close(Int32(file))
            made += 1
        }
        for number in 0..<made { unlink("\(directory)/f\(number)") }
        return failure == 0 ? .succeeded("\(made) files") : Said(-Int64(failure), "after \(made) files")
    }

    /// A file larger than the memory that is allowed, and how much of it stays in the cache.
    private static func pageCache() -> Said {
        let deadline = Pace.deadline
        let path = "/data/cache"
        let bytes = 96 << 20
        let file = opened(path, O_RDWR | O_CREAT | O_TRUNC)
        guard file >= 0 else { return Said(file, "open") }
        defer {
            close(Int32(file))
            unlink(path)
        }
        let filled = fill(descriptor: Int32(file), bytes)
        guard filled.word == "succeeded" else { return filled }
        var resident = 0
        repeat {
            resident = max(resident, residentBytes(Int32(file), bytes))
            // Reads all of it again and again, so that whatever is cached pushes something else out.
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            lseek(Int32(file), 0, SEEK_SET)
            while attack_now() < deadline, read(Int32(file), &buffer, buffer.count) > 0 {}
        } while attack_now() < deadline
        let detail = "\(resident >> 20) MiB in the cache"
        return resident > 80 << 20 ? .succeeded(detail) : Said("bounded", detail)
    }

    private static func residentBytes(_ file: Int32, _ bytes: Int) -> Int {
        let memory = mmap(nil, bytes, PROT_READ, MAP_SHARED, file, 0)
        guard let memory, memory != MAP_FAILED else { return 0 }
        defer { munmap(memory, bytes) }
        var pages = [UInt8](repeating: 0, count: bytes / pageBytes)
        guard mincore(memory, bytes, &pages) == 0 else { return 0 }
        return pages.count { $0 & 1 == 1 } * pageBytes
    }
}
