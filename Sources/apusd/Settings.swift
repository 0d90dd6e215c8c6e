import ArgumentParser
import Foundation
import Logging

/// Values of options that were not given on the command line.
enum Settings {
    /// A value from the environment: `APUSD_BOOT_PORT` for `boot-port`.
    static func environment(_ option: String) -> String? {
        let name = "APUSD_" + option.uppercased().replacingOccurrences(of: "-", with: "_")
        guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
        return value
    }

    /// A list from the environment, separated by commas.
    static func list(_ given: [String], _ option: String) -> [String] {
        guard given.isEmpty, let text = environment(option) else { return given }
        return text.split(separator: ",").map(String.init)
    }

    /// How much the log tells, from `APUSD_LOG_LEVEL`.
    static func logLevel() throws -> Logger.Level {
        guard let text = environment("log-level") else { return .notice }
        guard let level = Logger.Level(rawValue: text.lowercased()) else {
            let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("APUSD_LOG_LEVEL is one of \(known), not '\(text)'")
        }
        return level
    }

    /// A port, given or from the environment.
    static func port(_ given: Int?, _ option: String, fallback: Int) throws -> Int {
        let fromEnvironment = try environment(option).map { text in
            guard let port = Int(text) else { throw ValidationError("'\(text)' is not a port: use 0 to 65535") }
            return port
        }
        let port = given ?? fromEnvironment ?? fallback
        guard (0...65_535).contains(port) else { throw ValidationError("\(port) is not a port: use 0 to 65535") }
        return port
    }
}

/// Where everything lies: an option of all commands.
struct DataOption: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The directory with everything that the server remembers.",
            discussion: "Default: /var/lib/apusd for root, else ~/.local/share/apusd.", valueName: "directory"))
    var data: String?

    /// The directory that was given, or the default.
    var directory: String {
        if let given = data ?? Settings.environment("data") { return given }
        if geteuid() == 0 { return "/var/lib/apusd" }
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_DATA_HOME"] ?? NSHomeDirectory() + "/.local/share"
        return base + "/apusd"
    }
}
