import ArgumentParser
import Contract
import Foundation
import Operator

/// `apus user …`
struct UserCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Makes, lists, changes and removes users.",
        subcommands: [UserListing.self, UserSet.self, UserRemove.self])
}

struct UserListing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists users and what they may do.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let users = try connection.open().users()
            try output.show(UserList(users: users)) {
                table(
                    ["NAME", "GRANTS", "SIGNS IN", "STATE"],
                    users.map { user in
                        [
                            user.name, user.grants.map(Grants.text).joined(separator: "; "),
                            user.hasPassword ? "by password" : "by tokens alone",
                            user.isDisabled
                                ? "disabled" : user.lockedUntilSeconds.map { "locked until \(time($0))" } ?? "enabled",
                        ]
                    }, none: "no users: make one with 'apus user set NAME'")
            }
        }
    }
}

struct UserSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Makes a user, or changes what is given of one.",
        discussion: """
            A grant is a role on the whole site, or with @label=value,… on nodes that have those labels: \
            --grant viewer --grant operator@site=berlin. Grants that are given replace all that the user has. A user \
            without a password is a program's: make tokens for it with 'apus api-token create --user'. A new password \
            ends all tokens of the user.
            """)
    @Argument(help: "The user's name.")
    var name: String
    @Option(help: "A role, or role@label=value,…; may be repeated.")
    var grant: [String] = []
    @Flag(help: "Take all grants away.")
    var noGrants = false
    @Flag(help: "Ask for a new password.")
    var password = false
    @Flag(help: "Read a new password from standard input, without its last line break.")
    var passwordStdin = false
    @Flag(help: "Let neither password nor tokens count any more.")
    var disable = false
    @Flag(help: "Let them count again.")
    var enable = false
    @Flag(help: "End the wait after wrong passwords.")
    var unlock = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws {
        _ = try Grants.parse(grant)
        if noGrants, !grant.isEmpty { throw ValidationError("--no-grants goes with no --grant") }
        if disable, enable { throw ValidationError("--disable and --enable exclude each other") }
        if password, passwordStdin { throw ValidationError("--password and --password-stdin exclude each other") }
    }

    func run() throws {
        try reporting {
            let secret: String? =
                if passwordStdin {
                    try Passwords.read("", fromInput: true)
                } else if password {
                    try Passwords.readNew("new password of '\(name)'")
                } else { nil }
            let request = UserRequest(
                grants: noGrants ? [] : grant.isEmpty ? nil : try Grants.parse(grant), password: secret,
                isDisabled: disable ? true : enable ? false : nil, unlocks: unlock ? true : nil)
            let user = try connection.open().setUser(name, request)
            try output.show(user) {
                let grants = user.grants.map(Grants.text).joined(separator: "; ")
                return "user '\(user.name)' has \(grants.isEmpty ? "no grants" : grants)"
                    + (user.isDisabled ? ", and is disabled" : "")
            }
        }
    }
}

struct UserRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a user with all tokens.")
    @Argument(help: "The user's name.")
    var name: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let reply = try connection.open().removeUser(name)
            try output.show(reply) { reply.message }
        }
    }
}

/// `apus role …`
struct RoleCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "role", abstract: "Lists roles, and makes and removes those of the site's own.",
        subcommands: [RoleListing.self, RoleSet.self, RoleRemove.self])
}

struct RoleListing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists roles and their verbs.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let roles = try connection.open().roles()
            try output.show(RoleList(roles: roles)) {
                table(
                    ["NAME", "KIND", "VERBS"],
                    roles.map {
                        [$0.name, $0.isBuiltIn ? "built in" : "own", $0.verbs.map(\.rawValue).joined(separator: ", ")]
                    }, none: "no roles")
            }
        }
    }
}

struct RoleSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Makes a role of the site's own, or gives one other verbs.",
        discussion: "Nobody puts a verb into a role that they do not have themselves.")
    @Argument(help: "The role's name.")
    var name: String
    @Option(help: "A verb, such as node.read; may be repeated. 'apus role list' shows all in role admin.")
    var verb: [String] = []
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let role = try connection.open().setRole(name, verbs: verb)
            try output.show(role) { "role '\(role.name)' allows \(role.verbs.map(\.rawValue).joined(separator: ", "))" }
        }
    }
}

struct RoleRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a role that nobody has.")
    @Argument(help: "The role's name.")
    var name: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let reply = try connection.open().removeRole(name)
            try output.show(reply) { reply.message }
        }
    }
}

/// `apus api-token …`
struct APITokenCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "api-token", abstract: "Makes, lists and revokes tokens for the API.",
        subcommands: [APITokenCreate.self, APITokenListing.self, APITokenRevoke.self])
}

struct APITokenCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes an API token; its secret is shown this once.",
        discussion: "A token may do what its user may, and with --grant no more than that.")
    @Option(help: "Whose token it will be. Default: yours.")
    var user: String?
    @Option(help: "A note for people.")
    var note = ""
    @Option(help: "How long it holds, such as 90m, 24h or 30d; at most 365d.")
    var lifetime = "30d"
    @Option(help: "A role, or role@label=value,…, that bounds it; may be repeated.")
    var grant: [String] = []
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws {
        _ = try Grants.parse(grant)
        _ = try parseDuration(lifetime)
    }

    func run() throws {
        try reporting {
            let request = APITokenRequest(
                user: user, note: note, lifetimeSeconds: try parseDuration(lifetime),
                grants: grant.isEmpty ? nil : try Grants.parse(grant))
            let token = try connection.open().createAPIToken(request)
            // Only the secret itself goes to standard output, so that a script can take it from there.
            try output.show(token) { token.secret ?? "" }
            guard !output.json else { return }
            apus.note(
                "API token \(token.id) of '\(token.user)' holds until \(time(token.expiresSeconds)); it is shown this once"
            )
        }
    }
}

struct APITokenListing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists your API tokens, or everybody's where you may see them.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let tokens = try connection.open().apiTokens()
            let now = Int64(Date().timeIntervalSince1970)
            try output.show(APITokenList(tokens: tokens)) {
                table(
                    ["ID", "USER", "EXPIRES", "USED", "STATE", "GRANTS", "NOTE"],
                    tokens.map { token in
                        [
                            token.id, token.user, time(token.expiresSeconds), token.usedSeconds.map(time) ?? "never",
                            token.isRevoked ? "revoked" : token.expiresSeconds <= now ? "expired" : "valid",
                            token.grants.map { $0.map(Grants.text).joined(separator: "; ") } ?? "its user's",
                            token.note,
                        ]
                    }, none: "no API tokens: make one with 'apus api-token create'")
            }
        }
    }
}

struct APITokenRevoke: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "revoke", abstract: "Revokes an API token.")
    @Argument(help: "The token's id, as 'apus api-token list' shows it.")
    var id: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let token = try connection.open().revokeAPIToken(id)
            try output.show(token) { "API token \(token.id) of '\(token.user)' is revoked" }
        }
    }
}
