public import Contract
import FoundationEssentials
import Glibc

extension OperatorClient {
    /// Uploads a built release, whose three files are in `directory`, and publishes it under its name.
    ///
    /// One that is published already needs no upload and never changes: then it is only returned. `onProgress` is told
    /// the file and how many of how many bytes were sent.
    @discardableResult
    public func publish(
        directory: String, name: Digest256, onProgress: (String, UInt64, UInt64) -> Void = { _, _, _ in }
    ) throws -> ReleaseView {
        if let known = try releases().first(where: { $0.name == name }) { return known }
        for file in ["manifest.json", "frames", "pack"] {
            try upload("/v1/releases/\(name)/\(file)", file: "\(directory)/\(file)") { onProgress(file, $0, $1) }
        }
        // The server reads and hashes the whole pack before it answers.
        return try post(
            ReleaseView.self, "/v1/releases/\(name)/publish", [String: String](), timeoutSeconds: 600)
    }

    /// Gives the server the boot artifact that it serves to machines of an architecture that start from the network.
    public func putBootArtifact(
        path: String, architecture: Architecture = .current, onProgress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws {
        try upload("/v1/boot-artifact?architecture=\(architecture.rawValue)", file: path, onProgress: onProgress)
    }
}

/// A file that is read from its start to its end.
final class UploadFile {
    let sizeBytes: UInt64
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(WireError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var facts = stat()
        guard descriptor >= 0, fstat(descriptor, &facts) == 0 else {
            throw WireError("cannot read '\(path)': \(String(cString: strerror(errno)))")
        }
        sizeBytes = UInt64(max(0, facts.st_size))
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws(WireError) -> Int {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        guard count >= 0 else { throw WireError("cannot read '\(path)': \(String(cString: strerror(errno)))") }
        return count
    }
}
