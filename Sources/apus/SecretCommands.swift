import ArgumentParser
import Contract
import Foundation
import Operator
import Workloads

/// `apus secret …`
struct SecretCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secret", abstract: "Sets, lists and deletes secrets that workloads name.",
        subcommands: [SecretSet.self, SecretListing.self, SecretDelete.self])
}

struct SecretSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets a secret's value, which no command shows again.",
        discussion: """
            The value comes from a file, or from standard input to its end, byte for byte; on a terminal it is asked \
            for. It never stands on a command line, where others could read it.
            """)
    @Argument(help: "The secret's name, as documents give it.", transform: parseName)
    var name: WorkloadName
    @Option(help: "The file with the value, at most 64 KiB.", completion: .file())
    var fromFile: String?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let view = try connection.open().setSecret(name, try value())
            try output.show(view) {
                let users = view.workloads.map { "'\($0)'" }.joined(separator: ", ")
                return "secret '\(name)' is set; "
                    + (users.isEmpty ? "no workload names it yet" : "it goes to \(users)")
            }
        }
    }

    private func value() throws -> SecretValue {
        let limit = 64 << 10
        let bytes =
            if let fromFile { try read(fromFile, limit: limit) } else {
                try askSecretly("value of '\(name)'") ?? readStandardInput(limit: limit)
            }
        guard !bytes.isEmpty, let value = SecretValue(bytes: bytes) else {
            throw Failure("a secret has 1 to \(limit) bytes: give them with --from-file or on standard input")
        }
        return value
    }
}

struct SecretListing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the secrets' names; never a value.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let secrets = try connection.open().secrets()
            try output.show(SecretList(secrets: secrets)) {
                table(
                    ["NAME", "CHANGED", "WORKLOADS"],
                    secrets.map {
                        [$0.name, time($0.changedSeconds), $0.workloads.map(\.rawValue).joined(separator: ", ")]
                    }, none: "no secrets yet: set one with 'apus secret set NAME'")
            }
        }
    }
}

struct SecretDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Forgets a secret that no workload names any more.")
    @Argument(help: "The secret's name.", transform: parseName)
    var name: WorkloadName
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let answer = try connection.open().deleteSecret(name)
            try output.show(answer) { answer.message }
        }
    }
}
