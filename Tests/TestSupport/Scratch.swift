import Foundation

/// A folder of a test's own, gone with the value.
public final class Scratch: Sendable {
    /// Where it is.
    public let path: String

    /// Makes the folder; only its owner may enter it, unless other permissions are given.
    public init(permissions: Int = 0o700) throws {
        path = FileManager.default.temporaryDirectory.path + "/apus-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: permissions])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of something in the folder.
    public func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Writes a file, with the folders above it, and returns its path.
    @discardableResult
    public func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let url = URL(fileURLWithPath: path(name))
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
        return url.path
    }

    /// Writes a file of text, with the folders above it, and returns its path.
    @discardableResult
    public func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }

    /// Makes a file of zeros that takes no room, unless it is there already, and returns its path.
    public func sparseFile(_ name: String, sizeBytes: UInt64) throws -> String {
        if FileManager.default.fileExists(atPath: path(name)) { return path(name) }
        let file = try self.file(name, [])
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.truncate(atOffset: sizeBytes)
        try handle.close()
        return file
    }

    /// Makes a folder and returns its path.
    @discardableResult
    public func folder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: true)
        return path(name)
    }

    /// The bytes of a file.
    public func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    /// The text of a file.
    public func text(_ name: String) throws -> String { String(decoding: try read(name), as: UTF8.self) }
}
