internal import Glibc

/// A system call that failed: what was attempted, on what, and why, as one sentence.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted, as a verb: `open`, `read`.
    public var operation: String
    /// What it was attempted on: a path or a name; empty where there is none.
    public var subject: String
    /// The error number, as in errno(3).
    public var code: Int32
    /// What to do about it or what was expected, as a part of a sentence; empty where there is nothing to add.
    public var detail: String

    /// Makes an error from its parts; `code` may be negative, as CLinux returns it.
    public init(_ operation: String, _ subject: String = "", code: Int32, detail: String = "") {
        self.operation = operation
        self.subject = subject
        self.code = abs(code)
        self.detail = detail
    }

    /// A sentence such as `cannot open '/dev/sda': Permission denied`.
    public var description: String {
        var text = "cannot \(operation)"
        if !subject.isEmpty { text += " '\(subject)'" }
        text += ": \(Self.reason(code))"
        if !detail.isEmpty { text += " (\(detail))" }
        return text
    }

    /// Whether the thing does not exist.
    public var isNotFound: Bool { code == ENOENT || code == ENODEV || code == ENXIO || code == ENOTDIR }

    /// The C library's text for an error number.
    public static func reason(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Turns CLinux's negative error numbers into `SystemError`.
@discardableResult
func check<Value: FixedWidthInteger & SignedInteger>(
    _ result: Value, _ operation: String, _ subject: String = "", detail: String = ""
) throws(SystemError) -> Value {
    guard result >= 0 else {
        throw SystemError(operation, subject, code: Int32(clamping: result), detail: detail)
    }
    return result
}
