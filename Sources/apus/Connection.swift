import ArgumentParser
import Contract
import Fetch
import Foundation
import Operator

/// Which server is meant, and how to show that one may.
struct Connection: ParsableArguments {
    @Option(help: "The server's address, such as https://apus.example:8443. [env: APUS_SERVER]")
    var server: String?

    @Option(help: "A file with the server's CA certificate in PEM. [env: APUS_CA]", completion: .file())
    var ca: String?

    @Option(
        help: "A file with the operator's token. [env: APUS_TOKEN_FILE, or the token itself in APUS_TOKEN]",
        completion: .file())
    var tokenFile: String?

    @Option(
        help: "The data folder of an apusd on this machine, whose address, CA and token are used where none is given.",
        completion: .directory)
    var data: String?

    /// Connects; nothing is sent yet.
    func open() throws -> OperatorClient {
        let environment = ProcessInfo.processInfo.environment
        let folder = data ?? Connection.localDataFolder
        let address = server ?? environment["APUS_SERVER"] ?? localAddress(folder)
        guard let address else {
            throw Failure(
                "no server is named: give --server or APUS_SERVER, or run this where apusd's data folder is readable")
        }
        return try OperatorClient(
            endpoint: address, caCertificate: try certificate(environment, folder),
            token: try token(environment, folder))
    }

    private func certificate(_ environment: [String: String], _ folder: String) throws -> String {
        if let path = ca ?? environment["APUS_CA"] { return try text(path, "the CA certificate") }
        guard let own = try? String(contentsOfFile: folder + "/ca.crt", encoding: .utf8) else {
            throw Failure("the server's CA certificate is not known: give --ca FILE or APUS_CA")
        }
        return own
    }

    private func token(_ environment: [String: String], _ folder: String) throws -> String {
        let found: String
        if let path = tokenFile {
            found = try text(path, "the token")
        } else if let secret = environment["APUS_TOKEN"] {
            found = secret
        } else if let path = environment["APUS_TOKEN_FILE"] {
            found = try text(path, "the token")
        } else if let own = try? String(contentsOfFile: folder + "/admin.token", encoding: .utf8) {
            found = own
        } else {
            throw Failure("no operator's token is known: give --token-file FILE, APUS_TOKEN_FILE or APUS_TOKEN")
        }
        let token = found.filter { !$0.isWhitespace }
        guard !token.isEmpty else { throw Failure("the operator's token is empty") }
        return token
    }

    private func text(_ path: String, _ what: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw Failure("cannot read \(what) in '\(path)': does the file exist, and may you read it?")
        }
    }

    private func localAddress(_ folder: String) -> String? {
        FileManager.default.isReadableFile(atPath: folder + "/admin.token") ? "https://localhost:8443" : nil
    }

    /// Where apusd keeps its data unless told otherwise.
    private static var localDataFolder: String {
        geteuid() == 0 ? "/var/lib/apusd" : NSHomeDirectory() + "/.local/share/apusd"
    }
}

/// A failure told in one sentence.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Exit codes beside 0, 1 and 64 (`EX_USAGE`), after sysexits(3).
enum ExitStatus {
    /// The server cannot be reached or is not to be trusted (`EX_UNAVAILABLE`).
    static let unreachable = ExitCode(69)
    /// The server does not accept the token (`EX_NOPERM`).
    static let notPermitted = ExitCode(77)
}

/// Runs a command's work; what fails becomes one sentence on standard error, and the exit code that fits.
func reporting<Value>(_ body: () throws -> Value) throws -> Value {
    do {
        return try body()
    } catch {
        throw exit(for: error)
    }
}

/// `reporting` for work that suspends.
func reporting<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch {
        throw exit(for: error)
    }
}

private func exit(for error: any Error) -> any Error {
    if error is ExitCode || error is ValidationError || error is CleanExit { return error }
    FileHandle.standardError.write(Data("apus: \(sentence(for: error))\n".utf8))
    switch error as? FetchError {
    case .unreachable, .untrusted, .handshake, .timeout, .interrupted: return ExitStatus.unreachable
    case .status(401, _), .status(403, _): return ExitStatus.notPermitted
    default: return ExitCode.failure
    }
}

private func sentence(for error: any Error) -> String {
    if case .status(_, let reply?)? = error as? FetchError { return reply.message }
    return "\(error)"
}
