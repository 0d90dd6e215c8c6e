import ArgumentParser
import Contract
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

    func run() throws {
        try reporting {
            let request = TokenRequest(
                note: note, uses: uses, lifetimeSeconds: try parseDuration(lifetime),
                labels: try parseLabels(label, allowsRemoval: false).compactMapValues { $0 })
            let token = try connection.open().createToken(request)
            try output.show(token) { token.secret ?? "" }
        }
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
                            $0.id, "\($0.usesLeft)", time($0.expiresSeconds), $0.isRevoked ? "revoked" : "valid",
                            labels($0.labels), $0.note,
                        ]
                    }, none: "no join tokens: make one with 'apus token create'")
            }
        }
    }
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
            try connection.open().revokeToken(id)
            try output.show(Done(done: "revoked")) { "token \(id) is revoked" }
        }
    }
}

/// Reads `90s`, `90m`, `24h` or `30d` as seconds.
func parseDuration(_ text: String) throws -> Int64 {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let last = text.last, let unit = units[last], let number = Int64(text.dropLast()), number > 0,
        number <= 36500
    else { throw ValidationError("'\(text)' is not a duration: write a number and s, m, h or d, such as 24h") }
    return number * unit
}
