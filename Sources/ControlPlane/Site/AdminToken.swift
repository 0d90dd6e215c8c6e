import Foundation

/// The secret that operators show: a file for its owner only, made on first start.
struct AdminToken: Sendable {
    private let secret: Redacted<String>

    /// Loads the token of a data directory, making it where there is none.
    init(in directory: DataDirectory) throws {
        let path = directory.adminToken
        if let bytes = try DurableFile.read(path, limit: 4096) {
            let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
            guard let word = words.first, word.utf8.count >= 32 else {
                throw ServerProblem("'\(path)' holds no token of 32 characters or more; delete it to get a new one")
            }
            guard chmod(path, 0o600) == 0 else { throw DurableFile.failure("protect", path) }
            secret = Redacted(String(word))
        } else {
            let made = "apus-admin-" + (try Secrets.word(characters: 40))
            try DurableFile.write((made + "\n").utf8, to: path)
            secret = Redacted(made)
        }
    }

    /// Whether a text is the token, compared in constant time.
    func matches(_ text: String) -> Bool { Secrets.equal(text, secret.value) }
}
