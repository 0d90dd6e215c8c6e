import ArgumentParser
import ControlPlane
import Foundation
import Logging

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the server (the default).")

    @OptionGroup var data: DataOption

    @Option(help: ArgumentHelp("Listen on this address alone.", valueName: "ip"))
    var address: String?

    @Option(help: ArgumentHelp("The port of the API. Default: 8443.", valueName: "number"))
    var port: Int?

    @Option(help: ArgumentHelp("The port for boot artifacts over plain HTTP. Default: 8080.", valueName: "number"))
    var bootPort: Int?

    @Flag(help: "Serve no boot artifacts over plain HTTP.")
    var noBootPort = false

    @Option(
        help: ArgumentHelp(
            "A name or address that nodes and operators reach the server by; repeatable.",
            discussion: "The server's certificate covers these beside the machine's own.", valueName: "name"))
    var name: [String] = []

    @Option(help: ArgumentHelp("The endpoint that boot artifacts are given.", valueName: "url"))
    var endpoint: String?

    @Option(help: ArgumentHelp("A certificate chain in PEM, instead of one by the server's own CA.", valueName: "file"))
    var certificate: String?

    @Option(help: ArgumentHelp("The key of --certificate in PEM.", valueName: "file"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            "The authority of --certificate in PEM. Default: the chain's last.", valueName: "file"))
    var caCertificate: String?

    @Option(help: ArgumentHelp("A public key that signs releases; repeatable.", valueName: "file"))
    var releaseKey: [String] = []

    @Option(help: ArgumentHelp("How many keys must have signed a release. Default: 1.", valueName: "number"))
    var releaseThreshold: Int?

    @Option(
        help: ArgumentHelp("A list of serial numbers that are admitted without a token.", valueName: "file"))
    var serials: String?

    func run() async throws {
        // Whatever is made from here on is for this user alone.
        umask(0o077)
        // A client that goes away in the middle of a reply is no reason to end.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        var logger = Logger(label: "apusd")
        logger.logLevel = try Settings.logLevel()
        let options = try options()
        try await reportingProblems {
            let server = try Server(options: options, resolver: RegistryTags(), logger: logger)
            try await server.runUntilSignalled { addresses in
                print(summary(of: server, addresses))
                fflush(nil)
            }
            print("apusd has stopped")
        }
    }

    private func options() throws -> ServerOptions {
        var options = ServerOptions(dataDirectory: data.directory)
        options.address = address ?? Settings.environment("address")
        options.port = try Settings.port(port, "port", fallback: 8443)
        let bootPort = try Settings.port(bootPort, "boot-port", fallback: 8080)
        options.bootPort = noBootPort ? nil : bootPort
        options.names = Settings.list(name, "name")
        options.endpoint = endpoint ?? Settings.environment("endpoint")
        options.certificateFile = certificate ?? Settings.environment("certificate")
        options.keyFile = key ?? Settings.environment("key")
        options.authorityFile = caCertificate ?? Settings.environment("ca-certificate")
        options.releaseKeyFiles = Settings.list(releaseKey, "release-key")
        options.releaseThreshold =
            try releaseThreshold
            ?? Settings.environment("release-threshold").map { text in
                guard let number = Int(text) else { throw ValidationError("'\(text)' is not a threshold") }
                return number
            } ?? 1
        options.serialsFile = serials ?? Settings.environment("serials")
        return options
    }

    /// Where everything is. The endpoint is what machines will be told: whoever reads it sees whether it is right.
    private func summary(of server: Server, _ addresses: Server.Addresses) -> String {
        let endpoint = server.endpoint(port: addresses.port)
        var lines = ["apusd is running", "  endpoint        \(endpoint)"]
        if let bootPort = addresses.bootPort {
            let host = URLComponents(string: endpoint)?.encodedHost ?? "localhost"
            lines.append("  boot artifacts  http://\(host):\(bootPort)/boot/apus-boot.efi")
        }
        lines += [
            "  data            \(server.dataDirectory)",
            "  admin token     \(server.adminTokenFile)",
        ]
        if let password = addresses.firstPassword {
            lines.append("  first user      admin, with the password \(password) (shown this once)")
        }
        lines.append("  CA certificate  \(server.authorityFile)")
        return lines.joined(separator: "\n")
    }
}

/// Runs a body and shows what stops it as one sentence, without a stack of types.
func reportingProblems(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as ExitCode {
        throw error
    } catch {
        FileHandle.standardError.write(Data("apusd: \(Problems.sentence(error))\n".utf8))
        throw ExitCode.failure
    }
}
