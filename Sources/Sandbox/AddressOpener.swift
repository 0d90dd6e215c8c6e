internal import Linux
internal import Workloads

/// Opens what answers named, by `nft(8)`: all that waits in one transaction.
struct AddressOpener {
    private let tell: @Sendable (String) -> Void
    private var lastFailure = ""

    private static let timeoutSeconds = 5
    /// What one transaction is given at most, in bytes, unless one answer alone has more.
    private static let batchBytes = 48 << 10

    init(tell: @escaping @Sendable (String) -> Void) { self.tell = tell }

    /// Opens all, and says for each whether it is open now.
    mutating func open(_ openings: [NameRelay.Opening]) -> [(opening: NameRelay.Opening, isOpen: Bool)] {
        var done: [(NameRelay.Opening, Bool)] = []
        var rest = openings[...]
        while !rest.isEmpty {
            var bytes = 0
            let batch = rest.prefix { next in
                bytes += next.commands.utf8.count
                return bytes <= Self.batchBytes || bytes == next.commands.utf8.count
            }
            rest = rest.dropFirst(batch.count)
            let isOpen = run(batch.map(\.commands).joined())
            // One workload's rules may be gone, or its sets full: that is not the others' loss.
            done += batch.map { ($0, isOpen || (batch.count > 1 && run($0.commands))) }
        }
        return done
    }

    private mutating func run(_ commands: String) -> Bool {
        var failure = ""
        do {
            let outcome = try Processes.run(
                "/usr/bin/env", ["nft", "-f", "-"], input: Array(commands.utf8), timeoutSeconds: Self.timeoutSeconds)
            if outcome.succeeded { return true }
            failure = outcome.summary
        } catch {
            failure = "\(error)"
        }
        if failure != lastFailure {
            lastFailure = failure
            tell("addresses of a name cannot be opened for a workload: nft \(failure)")
        }
        return false
    }
}
