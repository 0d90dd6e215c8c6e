internal import Contract
internal import Fetch
internal import Linux
internal import Workloads

/// Asks a running workload's health check. Each question blocks its thread, which must be used for nothing else: it
/// moves into the workload's network.
struct HealthProber: Sendable {
    let places: NodePlaces
    let units: any UnitManager
    /// Where the runtime keeps what runs.
    var runtimeRoot = SystemdUnit.runtimeRoot
    /// Whether a machine is asked: from the node, as nothing but the machine itself is in its network.
    var isMachine = false
    /// The node's own network; nil where the agent is in it.
    var nodeNetwork: String?

    /// Nil for health, otherwise what was wrong.
    func ask(_ check: HealthCheck, of key: RevisionKey, wire: NetworkPlan?, unit: UnitStatus) -> String? {
        let seconds = Int(max(1, (check.timeoutMilliseconds + 999) / 1000))
        do {
            switch check.probe {
            case .command(let words): return try command(words, key, unit, seconds)
            case .tcp(let port): return try tcp(port, key, wire, seconds)
            case .http(let port, let path): return try http(port, path, key, wire, seconds)
            }
        } catch {
            return Text.clean("\(error)", limit: 400)
        }
    }

    /// Runs inside the workload, and inside its limits.
    private func command(_ words: [String], _ key: RevisionKey, _ unit: UnitStatus, _ seconds: Int) throws -> String? {
        let command = try Entering.words(
            words, bundle: places.bundle(key), name: places.name(key), runtimeRoot: runtimeRoot)
        let outcome = try Processes.run(
            "/usr/bin/env", units.inside(unit, command), outputLimitBytes: 4096, timeoutSeconds: seconds)
        return outcome.succeeded ? nil : Text.clean("the check \(outcome.summary)", limit: 400)
    }

    private func tcp(_ port: UInt16, _ key: RevisionKey, _ wire: NetworkPlan?, _ seconds: Int) throws -> String? {
        try enter(key, wire)
        return first(wire) { host in
            NetworkProbe.refusal(host: host, port: Int(port), timeoutSeconds: seconds).map { "port \(port): \($0)" }
        }
    }

    private func http(
        _ port: UInt16, _ path: String, _ key: RevisionKey, _ wire: NetworkPlan?, _ seconds: Int
    ) throws -> String? {
        try enter(key, wire)
        return first(wire) { host in
            let url = "http://\(host):\(port)\(path)"
            do {
                let client = try HTTPClient(
                    HTTPConfiguration(caCertificates: "", connectTimeoutSeconds: seconds, allowsPlainHTTP: true))
                defer { withExtendedLifetime(client) {} }
                do {
                    _ = try client.request("GET", url, timeoutSeconds: seconds)
                    return nil
                } catch {
                    // A redirection is an answer, and so is a body larger than anybody reads.
                    if let status = client.lastReply?.status, (200..<400).contains(status) { return nil }
                    return "\(url): \(error)"
                }
            } catch {
                return "\(url): \(error)"
            }
        }
    }

    /// A service listens on loopback, or only on the workload's own address.
    private func first(_ wire: NetworkPlan?, _ ask: (String) -> String?) -> String? {
        if isMachine { return wire.map { ask("\($0.guestVersion4)") } ?? "the machine has no network" }
        guard let refusal = ask("127.0.0.1") else { return nil }
        guard let wire else { return refusal }
        return ask("\(wire.guestVersion4)")
    }

    private func enter(_ key: RevisionKey, _ wire: NetworkPlan?) throws {
        if !isMachine { return try Processes.enterNetwork(try network(key, wire)) }
        if let nodeNetwork { try Processes.enterNetwork(nodeNetwork) }
    }

    /// The namespace of the wire, or that which the runtime made.
    private func network(_ key: RevisionKey, _ wire: NetworkPlan?) throws -> String {
        if let wire { return places.namespace(wire) }
        struct Status: Decodable { var pid: Int32 }
        let bytes = try Files.read("\(runtimeRoot)/\(places.name(key))/status", limitBytes: 64 << 10)
        guard let status = try? Wire.decode(Status.self, from: bytes), status.pid > 1 else {
            throw SandboxError("the runtime does not say which process '\(key.workload)' is")
        }
        return "/proc/\(status.pid)/ns/net"
    }
}
