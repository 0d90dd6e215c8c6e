import ArgumentParser
import Contract
import Foundation
import Operator

/// `apus login`
struct LoginCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Signs in, and keeps a token for twelve hours in a file of yours alone.",
        discussion: """
            The first time, --server names the server and --ca the file 'ca.crt' of its data folder; later neither is \
            needed. The password is asked for on a terminal, or taken from standard input with --password-stdin.
            """)
    @Argument(help: "The user's name.")
    var user: String
    @Flag(help: "Read the password from standard input, without its last line break.")
    var passwordStdin = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.openForLogin()
            let password = try Passwords.read("password of '\(user)' at \(api.endpoint)", fromInput: passwordStdin)
            let token = try api.login(
                LoginRequest(user: user, password: password, note: "apus on " + ProcessInfo.processInfo.hostName))
            let file = LoginFile.usual()
            try file.write(
                Login(
                    server: api.endpoint, caCertificate: api.caCertificate, user: user, token: token.secret ?? "",
                    expiresSeconds: token.expiresSeconds))
            var shown = token
            shown.secret = nil
            try output.show(shown) {
                "signed in to \(api.endpoint) as '\(user)' until \(time(token.expiresSeconds)); the token is in '\(file.path)'"
            }
        }
    }
}

/// `apus logout`
struct LogoutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Ends the token of 'apus login', and forgets it.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let file = LoginFile.usual()
            guard let login = try file.read() else { throw Failure("nobody is signed in here") }
            let api = try OperatorClient(
                endpoint: login.server, caCertificate: login.caCertificate, token: login.token)
            // A token that is not valid any more is as good as ended; a server that is away keeps it.
            do {
                try api.logout()
            } catch  where ExitStatus.of(error) == ExitStatus.notPermitted {
            }
            file.remove()
            try output.show(Acknowledgement(message: "signed out")) { "signed out of \(login.server)" }
        }
    }
}

/// `apus whoami`
struct WhoAmICommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whoami", abstract: "Shows who the server takes you for, and what you may do.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let me = try api.whoAmI()
            let roles = Dictionary((try api.roles()).map { ($0.name, $0.verbs) }) { first, _ in first }
            try output.show(me) {
                var lines = [("name", me.name)]
                if let token = me.token {
                    lines.append(("token", token + (me.expiresSeconds.map { ", until \(time($0))" } ?? "")))
                }
                for grant in me.grants {
                    let verbs = (roles[grant.role] ?? []).map(\.rawValue).joined(separator: ", ")
                    lines.append((Grants.text(grant), verbs.isEmpty ? "nothing" : verbs))
                }
                if let limits = me.tokenGrants {
                    lines.append(("the token only", limits.map(Grants.text).joined(separator: "; ")))
                }
                return listing(lines)
            }
        }
    }
}

/// `apus password`
struct PasswordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password", abstract: "Changes your own password; your other tokens end.",
        discussion:
            "With --password-stdin, standard input has the old password on its first line and the new one after it.")
    @Flag(help: "Read both passwords from standard input, a line each.")
    var passwordStdin = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let request: PasswordRequest
            if passwordStdin {
                let lines = String(decoding: try readStandardInput(limit: 8192), as: UTF8.self)
                    .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                guard lines.count >= 2 else {
                    throw Failure("standard input has the old password and the new one, a line each")
                }
                request = PasswordRequest(password: lines[0], newPassword: lines[1])
            } else {
                let old = try Passwords.read("your password", fromInput: false)
                request = PasswordRequest(password: old, newPassword: try Passwords.readNew("your new password"))
            }
            let reply = try connection.open().changePassword(request)
            try output.show(reply) { reply.message }
        }
    }
}

/// How passwords come in: never on a command line.
enum Passwords {
    /// A password from a terminal, or from standard input.
    static func read(_ question: String, fromInput: Bool) throws -> String {
        var bytes: [UInt8]
        if fromInput {
            bytes = try readStandardInput(limit: 1026)
            while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        } else if let typed = try askSecretly(question) {
            bytes = typed
        } else {
            throw Failure("nobody can be asked for the password: standard input is no terminal; use --password-stdin")
        }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty else {
            throw Failure("a password is text of UTF-8, and not empty")
        }
        return text
    }

    /// A new password from a terminal, typed twice.
    static func readNew(_ question: String) throws -> String {
        let first = try read(question, fromInput: false)
        guard try read("once more", fromInput: false) == first else { throw Failure("the two are not the same") }
        return first
    }
}

/// Grants as people write them: `operator`, or `operator@site=berlin,rack=7`.
enum Grants {
    static func text(_ grant: RoleGrant) -> String {
        guard !grant.scope.isEmpty else { return grant.role }
        return grant.role + "@"
            + grant.scope.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    static func parse(_ words: [String]) throws -> [RoleGrant] {
        try words.map { word in
            guard let at = word.firstIndex(of: "@") else { return RoleGrant(role: word) }
            let labels = word[word.index(after: at)...].split(separator: ",").map(String.init)
            guard !labels.isEmpty, at != word.startIndex else {
                throw ValidationError("'\(word)' is no grant: write ROLE, or ROLE@label=value,label=value")
            }
            return RoleGrant(
                role: String(word[..<at]),
                scope: try parseLabels(labels, allowsRemoval: false).compactMapValues { $0 })
        }
    }
}
