import ArgumentParser
import Contract
import Foundation
import Operator

/// `apus site`
struct SiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "site", abstract: "Writes what the site's machines believe: the file that --site takes.",
        discussion: """
            That is the server's address, its CA's certificate and the keys that sign releases, in JSON. With a join \
            token in it the file is a secret, and so is what is built with it.
            """)
    @Option(help: "The file to write, for its owner only; it is printed without it.", completion: .file())
    var output: String?
    @Option(help: "The address that machines reach the server by, where it is not the one that the server names.")
    var endpoint: String?
    @Option(help: "A file with a join token, as 'apus token create' prints it.", completion: .file())
    var joinToken: String?
    @OptionGroup var connection: Connection
    // What is printed is JSON either way; the flag is here as it is everywhere.
    @OptionGroup var format: OutputOptions

    func run() throws {
        try reporting {
            var trust = try connection.open().trust()
            if let endpoint { trust.endpoint = try Connection.endpoint(endpoint) }
            if let joinToken {
                let text = String(decoding: try read(joinToken, limit: 4096), as: UTF8.self)
                let token = text.filter { !$0.isWhitespace }
                guard !token.isEmpty else { throw Failure("'\(joinToken)' holds no join token") }
                trust.token = token
            }
            if trust.releaseKeys.isEmpty {
                note(
                    "the server trusts no release key yet: 'apus release trust KEY.pub' gives it one; then do this again"
                )
            }
            try write(trust)
        }
    }

    private func write(_ trust: SiteTrust) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let document = try encoder.encode(trust) + Data("\n".utf8)
        guard let output else { return FileHandle.standardOutput.write(document) }
        umask(0o077)
        do {
            try document.write(to: URL(fileURLWithPath: output), options: .atomic)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: output)
        } catch {
            throw Failure("cannot write '\(output)': does its folder exist, and may you write there?")
        }
    }
}
