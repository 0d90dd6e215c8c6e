internal import Contract
public import Cryptography
internal import Glibc
internal import Release

/// Keeps the Ed25519 key that signs releases in a file that only its owner reads.
public enum KeyFile {
    /// Reads the key, or makes one on first use; its public half stands beside it in `PATH.pub`, as `apusd` takes it.
    ///
    /// - Throws: where others may read the file, or it holds no such key. The key itself is in no error.
    public static func loadOrCreate(_ path: String) throws(PackingError) -> Ed25519PrivateKey {
        let key = Files.exists(path) ? try load(path) : try create(path)
        let publicPath = path + ".pub"
        if !Files.exists(publicPath) { try Files.write(try publicDocument(key), to: publicPath) }
        return key
    }

    /// Reads the key.
    public static func load(_ path: String) throws(PackingError) -> Ed25519PrivateKey {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system("cannot read the key file '\(path)'") }
        guard status.st_mode & 0o077 == 0 else {
            throw PackingError("others can read the key file '\(path)': run chmod 600 on it, or make a new key")
        }
        do {
            return try Ed25519PrivateKey(pem: try Files.text(path))
        } catch {
            throw PackingError("the key file '\(path)' cannot be used: \(error)")
        }
    }

    private static func create(_ path: String) throws(PackingError) -> Ed25519PrivateKey {
        try Files.makeParentDirectory(of: path)
        do {
            let key = try Ed25519PrivateKey()
            // Written beside and linked into place: a key file is whole, and never replaces one that appeared.
            let partial = path + ".new-\(getpid())"
            defer { unlink(partial) }
            var file = try OutputFile(partial, mode: 0o600, exclusive: true)
            try file.write(Array(try key.pem().utf8))
            try file.flush()
            guard link(partial, path) == 0 else { throw PackingError.system("cannot make the key file '\(path)'") }
            return key
        } catch {
            throw PackingError("cannot make a release key: \(error)")
        }
    }

    private static func publicDocument(_ key: Ed25519PrivateKey) throws(PackingError) -> [UInt8] {
        do {
            return try Wire.encode(try ReleaseKey(ed25519: key.publicKey)) + Array("\n".utf8)
        } catch {
            throw PackingError("cannot write the public key: \(error)")
        }
    }
}
