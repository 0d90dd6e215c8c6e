import ArgumentParser
import Contract
import Foundation
import Operator
import Workloads

/// `apus registry …`
struct RegistryCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry", abstract: "Says how registries of images are reached.",
        subcommands: [RegistrySet.self, RegistryListing.self, RegistryDelete.self])
}

struct RegistrySet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Says how a registry is reached, in place of what was said before.",
        discussion: """
            The password is taken from standard input with --password-stdin, else from APUS_REGISTRY_PASSWORD, else it \
            is asked for on a terminal; without any, the one that the server has for that user stays. A registry that \
            nothing is said of is asked without a name, and believed by the system's authorities.
            """)
    @Argument(help: "The registry as images name it, such as registry.example or registry.example:5000.")
    var host: String
    @Option(help: "The user's name at the registry.")
    var username: String?
    @Flag(help: "Read the password from standard input, without its last line break.")
    var passwordStdin = false
    @Option(help: "A file with the CA certificates in PEM that are believed for it.", completion: .file())
    var registryCA: String?
    @Option(help: "A server that is asked before it, such as https://mirror.example:5000.")
    var mirror: String?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try checkHost(host)
        if passwordStdin, username == nil { throw ValidationError("--password-stdin needs --username") }
    }

    func run() throws {
        try reporting {
            let request = RegistryRequest(
                mirror: mirror, username: username, password: try username.flatMap(password), caPEM: try certificates())
            try output.show(try connection.open().setRegistry(host, request)) { "registry '\(host)' is set" }
        }
    }

    private func password(of user: String) throws -> SecretValue? {
        let named = ProcessInfo.processInfo.environment["APUS_REGISTRY_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
        var bytes: [UInt8]?
        if passwordStdin {
            bytes = try readStandardInput(limit: WorkloadWireLimit.credential + 2)
            while let last = bytes?.last, last == 0x0A || last == 0x0D { bytes?.removeLast() }
        } else {
            bytes = try named.map { Array($0.utf8) } ?? askSecretly("password of '\(user)' at \(host)")
        }
        guard let bytes else { return nil }
        guard (1...WorkloadWireLimit.credential).contains(bytes.count), let value = SecretValue(bytes: bytes) else {
            throw Failure("a password has 1 to \(WorkloadWireLimit.credential) bytes")
        }
        return value
    }

    private func certificates() throws -> String? {
        guard let registryCA else { return nil }
        let text = String(decoding: try read(registryCA, limit: WorkloadWireLimit.certificates), as: UTF8.self)
        guard text.contains("-----BEGIN CERTIFICATE-----") else {
            throw Failure("'\(registryCA)' has no certificate in PEM")
        }
        return text
    }
}

struct RegistryListing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists what was said of registries; never a password.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let registries = try connection.open().registries()
            try output.show(RegistryList(registries: registries)) {
                table(
                    ["HOST", "USER", "PASSWORD", "CA", "MIRROR", "CHANGED"],
                    registries.map {
                        [
                            $0.host, $0.username ?? "-", $0.hasPassword ? "kept" : "-",
                            $0.caPEM == nil ? "system's" : "its own", $0.mirror ?? "-", time($0.changedSeconds),
                        ]
                    }, none: "nothing is said of any registry: all are asked without a name")
            }
        }
    }
}

struct RegistryDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Forgets what was said of a registry.")
    @Argument(help: "The registry's host.")
    var host: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws { try checkHost(host) }

    func run() throws {
        try reporting {
            let answer = try connection.open().deleteRegistry(host)
            try output.show(answer) { answer.message }
        }
    }
}

/// A registry is called here as images call it.
private func checkHost(_ host: String) throws {
    guard WorkloadImage(host + "/image:tag")?.registry == host else {
        throw ValidationError(
            "'\(host)' is no registry: write its host as images name it, such as registry.example:5000, without https://"
        )
    }
}
