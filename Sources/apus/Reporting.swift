import ArgumentParser
import Contract
import Fetch
import Foundation

/// A failure told in one sentence.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Something on the command line or in the environment that cannot be right, told in one sentence.
struct Misuse: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Exit codes beside 0 and 1, after sysexits(3).
enum ExitStatus {
    /// Wrong usage (`EX_USAGE`).
    static let usage = ExitCode(64)
    /// The server cannot be reached or is not to be trusted (`EX_UNAVAILABLE`).
    static let unreachable = ExitCode(69)
    /// The server does not accept the token (`EX_NOPERM`).
    static let notPermitted = ExitCode(77)

    /// The code for an error.
    static func of(_ error: any Error) -> ExitCode {
        if error is Misuse { return usage }
        switch error as? FetchError {
        case .unreachable, .untrusted, .handshake, .timeout, .interrupted: return unreachable
        // 403 is a refusal of what was asked, such as a wrong code; the token itself is refused with 401.
        case .status(401, _): return notPermitted
        default: return .failure
        }
    }
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

/// Says something beside the result, on standard error.
func note(_ text: String) { FileHandle.standardError.write(Data("apus: \(text)\n".utf8)) }

private func exit(for error: any Error) -> any Error {
    if error is ExitCode || error is ValidationError || error is CleanExit { return error }
    note(sentence(for: error))
    return ExitStatus.of(error)
}

/// What failed and what an operator does about it.
func sentence(for error: any Error) -> String {
    guard let error = error as? FetchError else { return "\(error)" }
    switch error {
    case .status(_, let reply?): return reply.message
    case .status(let code, nil):
        return "the server answered with HTTP status \(code) and no words of apusd's: check the address"
    case .unreachable(let detail):
        return "the server cannot be reached: \(detail); check --server or APUS_SERVER, and that apusd runs there"
    case .untrusted(.wrongAuthority, let detail):
        return
            "the server's certificate is not signed by the CA that was given: give --ca or APUS_CA the file 'ca.crt' "
            + "of that server's data folder, or check the address (\(detail))"
    case .untrusted(.wrongName, let detail):
        return
            "the server's certificate is for other names: use one that it lists, or start apusd with --name (\(detail))"
    case .handshake(let detail):
        return "nobody speaks TLS there: give --server the API's port, 8443 unless apusd was told otherwise (\(detail))"
    default: return error.description
    }
}
