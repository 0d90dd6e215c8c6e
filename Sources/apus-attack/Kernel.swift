import CAttack
import Glibc

/// What the kernel said to an attempt: one word that tables compare, and what people read beside it.
struct Said {
    /// `succeeded`, the name of an error number or a signal, or a word of `docs/sandbox.md` such as `empty`.
    var word: String
    /// Evidence; cut to what fits a line.
    var detail: String

    /// A word with its evidence.
    init(_ word: String, _ detail: String = "") {
        self.word = word
        self.detail = detail
    }

    /// What a call returned: a negative error number is a refusal, anything else a success.
    init(_ result: Int64, _ detail: String = "") {
        guard result < 0 else {
            self.init("succeeded", detail.isEmpty ? "returned \(result)" : detail)
            return
        }
        self.init(String(cString: attack_error_name(Int32(truncatingIfNeeded: -result))), detail)
    }

    /// The attack reached what it wanted.
    static func succeeded(_ detail: String) -> Said { Said("succeeded", detail) }
}

/// Makes a system call; the result is a negative error number on failure.
func call(_ name: String, _ arguments: UInt64...) -> Int64 {
    let number = attack_number(name)
    guard number >= 0 else { return -Int64(ENOSYS) }
    return attack_call(number, padded(arguments))
}

/// Six arguments, whatever was given.
func padded(_ arguments: [UInt64]) -> [UInt64] { Array((arguments + [0, 0, 0, 0, 0, 0]).prefix(6)) }

/// A C string for the kernel. It stays until the program ends, which is soon.
func text(_ string: String) -> UInt64 { UInt64(UInt(bitPattern: strdup(string))) }

/// Memory of zeros for the kernel, which stays as well.
func zeros(_ count: Int) -> UInt64 { UInt64(UInt(bitPattern: calloc(1, count))) }

/// A structure of 32-bit words for the kernel.
func words(_ values: [UInt32]) -> UInt64 {
    let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: max(1, values.count))
    for (index, value) in values.enumerated() { memory[index] = value }
    return UInt64(UInt(bitPattern: memory))
}

/// The current directory, for calls that take one.
let currentDirectory = UInt64(bitPattern: -100)
/// A minus one, where a call wants it.
let minusOne = UInt64.max

/// Opens a file; the descriptor or a negative error number.
func opened(_ path: String, _ flags: Int32, mode: UInt32 = 0o600) -> Int64 {
    let descriptor = open(path, flags | O_CLOEXEC, mode_t(mode))
    return descriptor < 0 ? -Int64(errno) : Int64(descriptor)
}

/// Opens a file and closes it again.
func openAttempt(_ path: String, _ flags: Int32) -> Said {
    let descriptor = opened(path, flags)
    if descriptor >= 0 { close(Int32(descriptor)) }
    return descriptor < 0 ? Said(descriptor) : .succeeded("'\(path)' was opened")
}

/// Reads the beginning of a file.
func readAttempt(_ path: String) -> Said {
    let descriptor = opened(path, O_RDONLY | O_NONBLOCK)
    guard descriptor >= 0 else { return Said(descriptor) }
    defer { close(Int32(descriptor)) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(Int32(descriptor), &buffer, buffer.count)
    guard count >= 0 else { return Said(-Int64(errno)) }
    return count == 0 ? Said("empty") : .succeeded("\(count) bytes of '\(path)'")
}

/// The whole of a small file; nil where it cannot be read.
func contents(_ path: String, limitBytes: Int = 65_536) -> String? {
    let descriptor = opened(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(Int32(descriptor)) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while bytes.count < limitBytes {
        let count = read(Int32(descriptor), &buffer, buffer.count)
        guard count > 0 else { break }
        bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// Writes text to a file that is there; `nil` writes what it already says, so that a success harms nothing.
func writeAttempt(_ path: String, _ new: String? = nil) -> Said {
    let old = contents(path)
    let descriptor = opened(path, O_WRONLY)
    guard descriptor >= 0 else { return Said(descriptor) }
    defer { close(Int32(descriptor)) }
    let bytes = Array((new ?? old ?? "\n").utf8)
    let count = write(Int32(descriptor), bytes, bytes.count)
    return count < 0 ? Said(-Int64(errno)) : .succeeded("\(count) bytes were written to '\(path)'")
}

/// A file's device and inode; nil where it is not there.
func identity(_ path: String) -> (device: UInt64, inode: UInt64)? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return (UInt64(status.st_dev), UInt64(status.st_ino))
}
