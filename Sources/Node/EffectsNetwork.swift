internal import Contract
internal import Decisions
internal import Fetch
internal import Linux
public import Sequences

/// The network in early boot, for real.
///
/// A machine may have several cards and several networks with DHCP, of which one reaches the server: what counts is the
/// first combination of settings and interface over which the server answers as the one that is believed.
public final class NodeNetwork: NetworkEffect {
    private let context: EarlyContext
    private let use: DiskInUse
    private let setup: NetworkSetup
    private var attempts: [Attempt] = []
    private var current = 0

    private struct Attempt {
        var settings: NetworkSettings
        var interfaces: [Inventory.NetworkInterface]
    }

    /// Makes it over what was learnt; settings that worked before are read from the disk in use.
    public init(_ context: EarlyContext, _ use: DiskInUse) {
        self.context = context
        self.use = use
        setup = NetworkSetup(clock: context.clock)
    }

    /// Brings the first combination up that works.
    public func bringUp() throws {
        let interfaces = setup.wakeInterfaces()
        let found = interfaces.map { "\($0.name) \($0.address) \($0.hasLink ? "link" : "no link")" }
        context.log.log("network interfaces: \(found.isEmpty ? "none" : found.joined(separator: ", "))")
        attempts = []
        for settings in try candidates() {
            attempts += try InterfaceChoice.attempts(
                wanted: settings.interfaces, bond: settings.bondMode != nil, among: interfaces
            ).map { Attempt(settings: settings, interfaces: $0) }
        }
        try bringUp(from: 0)
    }

    /// Finds the server's address and asks it for a sign of life; where it does not answer, the next combination is
    /// tried.
    public func findEndpoint() throws {
        if attempts.isEmpty { try bringUp() }
        ClockFloor.raise(to: try context.trust().clockFloorSeconds, source: "boot artifact", log: context.log)
        var problem: any Error
        do { return try reachServer() } catch { problem = error }
        for _ in 1..<max(1, attempts.count) {
            context.log.log("the server is not reached by \(context.network?.interface ?? "this way"): \(problem)")
            do {
                try bringUp(from: current + 1)
                return try reachServer()
            } catch { problem = error }
        }
        // A lease may be out of date, or a cable may have been plugged in elsewhere: the next try looks anew.
        attempts = []
        throw problem
    }

    /// Raises the clock to the time of the build; the server's own follows with its first answer.
    public func setClockFloor() throws {
        ClockFloor.raise(to: try context.trust().clockFloorSeconds, source: "boot artifact", log: context.log)
    }

    // MARK: - Parts

    /// What is tried, in this order: the kernel command line, the boot medium, the boot artifact, each of them alone;
    /// else what worked when this machine was installed, and DHCP.
    private func candidates() throws -> [NetworkSettings] {
        if let text = context.arguments["apus.network"] { return [try NetworkArgument.parse(text)] }
        if let settings = try? context.trust().network {
            return [try NetworkRules.checked(settings, source: "the site's network settings")]
        }
        var former: [NetworkSettings] = []
        if let settings = NodeState(context, use).formerNetwork(), settings != NetworkSettings(),
            let checked = try? NetworkRules.checked(settings, source: "network.json")
        {
            former = [checked]
        }
        return former + [NetworkSettings()]
    }

    private func bringUp(from first: Int) throws {
        var problem: any Error = NodeError("no network interface to use")
        for offset in attempts.indices {
            let index = (first + offset) % attempts.count
            let attempt = attempts[index]
            do {
                let active = try setup.bringUp(attempt.settings, on: attempt.interfaces)
                context.network = active
                current = index
                let address = active.lease?.address ?? active.settings.addresses.joined(separator: ", ")
                context.log.log("network: \(active.interface) has \(address)\(active.lease == nil ? "" : " by DHCP")")
                return
            } catch {
                context.log.log("network: \(error)")
                problem = error
            }
        }
        throw problem
    }

    private func reachServer() throws {
        let artifact = context.artifactTrust
        let endpoint = try Endpoint.discover(
            commandLine: context.arguments["apus.endpoint"], medium: context.mediumTrust, artifact: artifact,
            dhcp: context.network?.lease?.endpoint)
        context.endpoint = endpoint
        let client = try context.access().client()
        do {
            try client.checkHealth()
        } catch {
            throw NodeError("\(endpoint.url) (from the \(endpoint.source)): \(error)")
        }
        context.log.log("server: \(endpoint.url), from the \(endpoint.source)")
    }
}
