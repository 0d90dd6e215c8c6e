import ArgumentParser
import Contract
import Foundation
import Operator

/// `apus token …`
struct TokenCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Makes, lists and revokes join tokens.",
        subcommands: [TokenCreate.self, TokenListing.self, TokenRevoke.self])
}

struct TokenCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes a join token; its secret is shown this once.")
    @Option(help: "A note for other operators.")
    var note = ""
    @Option(help: "How many nodes may join with it.")
    var uses = 1
    @Option(help: "How long it holds, such as 90m, 24h or 30d.")
    var lifetime = "24h"
    @Option(help: "A label (key=value) for the nodes that join with it; may be repeated.")
    var label: [String] = []
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws { _ = try request() }

    func run() throws {
        try reporting {
            let token = try connection.open().createToken(try request())
            // Only the secret itself goes to standard output, so that a script can take it from there.
            try output.show(token) { token.secret ?? "" }
            guard !output.json else { return }
            let nodes = token.usesLeft == 1 ? "one node" : "\(token.usesLeft) nodes"
            apus.note("token \(token.id) admits \(nodes) until \(time(token.expiresSeconds)); it is shown this once")
        }
    }

    private func request() throws -> TokenRequest {
        TokenRequest(
            note: note, uses: uses, lifetimeSeconds: try parseDuration(lifetime),
            labels: try parseLabels(label, allowsRemoval: false).compactMapValues { $0 })
    }
}

struct TokenListing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists join tokens.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let tokens = try connection.open().tokens()
            try output.show(TokenList(tokens: tokens)) {
                table(
                    ["ID", "USES LEFT", "EXPIRES", "STATE", "LABELS", "NOTE"],
                    tokens.map {
                        [
                            $0.id, "\($0.usesLeft)", time($0.expiresSeconds), standing(of: $0), labels($0.labels),
                            $0.note,
                        ]
                    }, none: "no join tokens: make one with 'apus token create'")
            }
        }
    }
}

/// Whether a token still admits nodes, by this machine's clock, in a word or two.
func standing(of token: TokenView, now: Date = Date()) -> String {
    if token.isRevoked { return "revoked" }
    if token.usesLeft <= 0 { return "used up" }
    return TimeInterval(token.expiresSeconds) <= now.timeIntervalSince1970 ? "expired" : "valid"
}

struct TokenRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Revokes a join token.")
    @Argument(help: "The token's id, as 'apus token list' shows it.")
    var id: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            guard id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }), !id.isEmpty else {
                throw Failure("'\(id)' is not a token's id; see 'apus token list'")
            }
            try output.show(try connection.open().revokeToken(id)) { "token \(id) is revoked" }
        }
    }
}

/// Reads `90s`, `90m`, `24h` or `30d` as seconds.
func parseDuration(_ text: String) throws -> Int64 {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let last = text.last, let unit = units[last], let number = Int64(text.dropLast()), number > 0 else {
        throw ValidationError("'\(text)' is not a duration: write a number and s, m, h or d, such as 24h")
    }
    let (seconds, isTooLong) = number.multipliedReportingOverflow(by: unit)
    guard !isTooLong else { throw ValidationError("'\(text)' is longer than any token may hold") }
    return seconds
}
