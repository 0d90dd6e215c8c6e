import Contract
import Cryptography
import Foundation
import HTTPTypes
import Hummingbird

/// Boot artifacts and whatever else lies in the data directory's `boot`: open to all, since firmware has no proof.
struct BootShelf: Sendable {
    let directory: DataDirectory

    /// Takes a boot artifact for an architecture.
    func take(_ request: Request, architecture: Architecture) async throws {
        let path = self.path(of: architecture)
        let staged = path + ".checking"
        try await Upload.take(request, to: staged, limit: ServerLimit.bootArtifact)
        guard Self.looksLikeImage(staged) else {
            unlink(staged)
            throw APIFailure(
                .unprocessableContent, "boot-artifact-refused",
                "this is not a UEFI program of a boot artifact's size; make one with 'apus boot-artifact'")
        }
        // Firmware of any user reads it through this server alone, so the file itself stays the owner's.
        try DurableFile.move(staged, to: path)
    }

    /// The file of a name and its entity tag; nil for a name that could lead elsewhere.
    func file(_ name: String) -> (path: String, tag: String)? {
        guard Self.isFileName(name) else { return nil }
        let path = "\(directory.boot)/\(name)"
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return nil }
        // Files arrive by rename: another file is another inode or another time.
        let tag = "\(facts.st_ino)-\(facts.st_size)-\(facts.st_mtim.tv_sec)-\(facts.st_mtim.tv_nsec)"
        return (path, tag)
    }

    /// Whether a name is one of a file that may be served: it leads nowhere else, and the file is whole.
    static func isFileName(_ name: String) -> Bool {
        (1...90).contains(name.utf8.count) && !name.hasPrefix(".") && !name.hasSuffix(".partial")
            && !name.hasSuffix(".checking") && name.utf8.allSatisfy(isNameByte)
    }

    private func path(of architecture: Architecture) -> String {
        switch architecture {
        case .amd64: "\(directory.boot)/apus-boot.efi"
        case .arm64: "\(directory.boot)/apus-boot-arm64.efi"
        }
    }

    /// A PE image (`MZ`, then `PE` where the header says) of at least a mebibyte: a stray page of HTML is neither.
    private static func looksLikeImage(_ path: String) -> Bool {
        guard let size = FileReply.size(of: path), size >= 1 << 20 else { return false }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var head = [UInt8](repeating: 0, count: 4096)
        guard read(descriptor, &head, head.count) == head.count, head.starts(with: Array("MZ".utf8)) else {
            return false
        }
        let offset = (0..<4).reduce(0) { $0 | Int(head[0x3c + $1]) << (8 * $1) }
        return offset + 4 <= head.count && head[offset..<offset + 4].elementsEqual([0x50, 0x45, 0, 0])
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: ".-_".utf8.contains(byte)
        }
    }
}
