public import Contract
internal import Fetch
internal import Linux
internal import Node

/// Runs one round of health checks: the built-in ones and the operator's own.
///
/// Every check is bounded in time, so that a round always ends; a check that cannot be run has failed.
public struct HealthChecks: Sendable {
    /// Where operators put executables (in `health.d`) and `health.json`: the image's, the site's, the node's.
    public static let directories = ["/usr/lib/apus", "/etc/apus", "/var/lib/apus"]
    /// How long an executable may take, in seconds.
    static let executableSeconds = 30
    /// At most so many executables in each directory.
    static let executableLimit = 64
    /// How much of an executable's output is reported, in bytes.
    static let detailBytes = 400

    /// At most so many results are reported to the server, which keeps no more.
    static let reportLimit = 64

    private let directories: [String]
    private let caCertificate: String
    private let verityName: String

    /// Makes the checks.
    /// - Parameters:
    ///   - directories: where the operator's checks are.
    ///   - caCertificate: the site's CA in PEM, believed for `https://` checks.
    ///   - verityName: the device-mapper name of the running root.
    public init(
        directories: [String] = HealthChecks.directories, caCertificate: String, verityName: String
    ) {
        self.directories = directories
        self.caCertificate = caCertificate
        self.verityName = verityName
    }

    /// Runs every check but the control plane's, which the agent knows from its own conversation.
    public func run() -> [CheckResult] {
        let (configuration, problems) = readConfigurations()
        return problems + [units(ignoring: configuration.ignoredUnits), verity()] + executables()
            + configuration.tcp.map(tcp) + configuration.http.map(http)
    }

    /// What a status tells of a round: failed checks come first, so that the limit never hides one behind those that
    /// hold, and no check's own words make the status too large to be accepted.
    static func reported(_ results: [CheckResult]) -> [CheckResult] {
        (results.filter { !$0.passed } + results.filter(\.passed)).prefix(reportLimit).map { result in
            var result = result
            result.name = String(decoding: result.name.utf8.prefix(detailBytes), as: UTF8.self)
            result.detail = String(decoding: result.detail.utf8.prefix(detailBytes), as: UTF8.self)
            return result
        }
    }

    // MARK: Built in

    /// No failed unit, and start-up has ended.
    private func units(ignoring ignored: [String]) -> CheckResult {
        do {
            let state = try Processes.run("/usr/bin/systemctl", ["is-system-running"], timeoutSeconds: 20)
            let listed = try Processes.run(
                "/usr/bin/systemctl", ["list-units", "--failed", "--no-legend", "--plain"], timeoutSeconds: 20)
            return Self.judgeUnits(
                systemState: Self.firstLine(state.output), failedList: String(decoding: listed.output, as: UTF8.self),
                ignoring: ignored)
        } catch {
            return CheckResult(name: "units", passed: false, detail: "\(error)")
        }
    }

    /// The verdict over what systemctl(1) said.
    static func judgeUnits(systemState: String, failedList: String, ignoring ignored: [String]) -> CheckResult {
        let failed = failedList.split(separator: "\n").compactMap { line in
            line.split(whereSeparator: \.isWhitespace).first.map(String.init)
        }.filter { !ignored.contains($0) }
        if !failed.isEmpty {
            let names = failed.prefix(8).joined(separator: ", ") + (failed.count > 8 ? ", …" : "")
            return CheckResult(name: "units", passed: false, detail: "failed: \(names)")
        }
        switch systemState {
        case "running", "degraded":
            // Degraded without a failed unit that counts: only ignored ones failed.
            return CheckResult(name: "units", passed: true, detail: "no failed unit")
        default:
            return CheckResult(
                name: "units", passed: false,
                detail: "the system is '\(systemState)', not yet or no longer running")
        }
    }

    /// The kernel found no block of the running root that differs from its hash tree.
    private func verity() -> CheckResult {
        do {
            let isVerified = try DeviceMapper.isVerified(verityName)
            return CheckResult(
                name: "verity", passed: isVerified,
                detail: isVerified ? "no corrupted block" : "a block of the running root was found corrupted")
        } catch {
            return CheckResult(name: "verity", passed: false, detail: "\(error)")
        }
    }

    // MARK: The operator's

    private func executables() -> [CheckResult] {
        directories.flatMap { directory -> [CheckResult] in
            let folder = directory + "/health.d"
            guard Files.exists(folder) else { return [] }
            do {
                return try Files.list(folder).prefix(Self.executableLimit).compactMap { name in
                    executable(folder + "/" + name, name: name)
                }
            } catch {
                return [CheckResult(name: folder, passed: false, detail: "\(error)")]
            }
        }
    }

    /// Runs an executable that is root's and that nobody else may write; other files are none of ours.
    private func executable(_ path: String, name: String) -> CheckResult? {
        guard let status = Files.status(path), case .regular = status.kind, status.mode & 0o111 != 0 else { return nil }
        guard status.owner == Processes.ownUser, status.mode & 0o022 == 0 else {
            return CheckResult(
                name: name, passed: false,
                detail: "'\(path)' must belong to the agent's user and be writable by nobody else")
        }
        do {
            let outcome = try Processes.run(path, [], timeoutSeconds: Self.executableSeconds)
            let said = Self.firstLine(outcome.succeeded ? outcome.output : outcome.errorOutput + outcome.output)
            return CheckResult(
                name: name, passed: outcome.succeeded, detail: said.isEmpty ? outcome.summary : said)
        } catch {
            return CheckResult(name: name, passed: false, detail: "\(error)")
        }
    }

    private func tcp(_ check: TCPCheck) -> CheckResult {
        let refusal = NetworkProbe.refusal(
            host: check.host, port: check.port, timeoutSeconds: Self.bounded(check.timeoutSeconds))
        return CheckResult(
            name: check.name, passed: refusal == nil,
            detail: "\(check.host) port \(check.port): \(refusal ?? "accepts connections")")
    }

    private func http(_ check: HTTPCheck) -> CheckResult {
        do {
            let client = try HTTPClient(HTTPConfiguration(caCertificates: caCertificate, allowsPlainHTTP: true))
            let response = try client.request("GET", check.url, timeoutSeconds: Self.bounded(check.timeoutSeconds))
            return CheckResult(name: check.name, passed: true, detail: "\(check.url) answered \(response.status)")
        } catch {
            return CheckResult(name: check.name, passed: false, detail: "\(check.url): \(error)")
        }
    }

    func readConfigurations() -> (HealthConfiguration, [CheckResult]) {
        var configuration = HealthConfiguration()
        var problems: [CheckResult] = []
        for directory in directories {
            let path = directory + "/health.json"
            guard Files.exists(path) else { continue }
            do {
                // Of a pipe nobody knows when it ends, if ever.
                guard case .regular? = Files.status(path)?.kind else { throw WireError("'\(path)' is not a file") }
                let bytes = try Files.read(path, limitBytes: WireLimit.message)
                configuration = configuration.merged(with: try Wire.decode(HealthConfiguration.self, from: bytes))
            } catch {
                // A check that cannot be read is a check that nobody makes: that is not healthy.
                problems.append(CheckResult(name: path, passed: false, detail: "\(error)"))
            }
        }
        return (configuration, problems)
    }

    private static func bounded(_ seconds: Int?) -> Int { min(max(seconds ?? 10, 1), 60) }

    private static func firstLine(_ bytes: [UInt8]) -> String {
        let line = bytes.split(separator: UInt8(ascii: "\n")).first ?? []
        return String(decoding: line.prefix(detailBytes), as: UTF8.self)
    }
}
