import Contract
import Store

/// How a node's reports move it between its states: pure, from what the server knew and what the node says.
enum NodeLife {
    /// A state and the sentence that explains it.
    struct Standing: Equatable {
        var state: NodeState
        var reason: String
    }

    /// What a status changes.
    struct StatusOutcome: Equatable {
        var standing: Standing
        /// Whether the node has now been online since it was provisioned.
        var wasOnline: Bool
        /// What to tell operators, oldest first: kind and sentence.
        var news: [News]
    }

    /// Something to tell operators.
    struct News: Equatable {
        var kind: String
        var message: String
    }

    /// Judges a status of a node.
    static func receive(_ status: NodeStatus, from node: NodeRecord) -> StatusOutcome {
        let news = self.news(of: status, before: node.status)
        let current = Standing(state: node.state, reason: node.reason)
        switch node.state {
        case .retired, .maintenance, .new, .pending, .approved:
            // Only an operator moves a node out of these.
            return StatusOutcome(standing: current, wasOnline: node.wasOnline, news: news)
        case .admitted, .provisioning, .failed, .online, .upgrading:
            let provisioned = node.wasOnline || isProvisioned(status)
            let standing = provisioned ? inService(status) : installing(status, current: current)
            return StatusOutcome(standing: standing, wasOnline: provisioned, news: news)
        }
    }

    /// The state of a node in service, as its newest status tells it.
    static func inService(_ status: NodeStatus) -> Standing {
        switch status.phase {
        case .installing: return Standing(state: .upgrading, reason: "it is installing another version")
        case .restarting: return Standing(state: .upgrading, reason: "it restarts into another version")
        case .probation: return Standing(state: .upgrading, reason: "a new version is proving itself")
        case .steady:
            let failed = status.health.filter { !$0.passed }
            guard failed.isEmpty else {
                let names = failed.prefix(4).map(\.name).joined(separator: ", ")
                return Standing(state: .online, reason: "it runs, but is not healthy: \(names)")
            }
            return Standing(state: .online, reason: running(status))
        }
    }

    /// What the report of a step changes; nil where it changes nothing.
    static func receive(_ step: StepReport, from node: NodeRecord) -> Standing? {
        guard step.sequence == "provision" else { return nil }
        switch node.state {
        case .new, .pending, .approved, .retired, .maintenance, .upgrading: return nil
        case .online where node.wasOnline: return nil
        case .admitted, .provisioning, .failed, .online: break
        }
        switch step.state {
        case .failed:
            let detail = step.detail.isEmpty ? "it said no more" : step.detail
            return Standing(state: .failed, reason: "step '\(step.step)' failed: \(detail)")
        case .started, .progress:
            return Standing(state: .provisioning, reason: "step '\(step.step)'")
        case .finished, .skipped:
            return node.state == .admitted ? Standing(state: .provisioning, reason: "step '\(step.step)'") : nil
        }
    }

    /// A node is provisioned when its installed system is healthy and names the slot and the boot entry that the
    /// firmware really started; a start by kexec does not yet prove that the firmware finds it.
    static func isProvisioned(_ status: NodeStatus) -> Bool {
        status.phase == .steady && status.runningSlot != nil && status.bootEntry != nil && status.startedByFirmware
            && status.health.allSatisfy(\.passed)
    }

    private static func installing(_ status: NodeStatus, current: Standing) -> Standing {
        guard status.runningSlot != nil else { return current }
        let reason =
            if !status.startedByFirmware || status.bootEntry == nil {
                "the installed system runs, but by kexec: the firmware has yet to start it; where it does not after a "
                    + "restart, see the node's 'firmware' events"
            } else if let failed = status.health.first(where: { !$0.passed }) {
                "the installed system runs, but is not yet healthy: \(failed.name): \(failed.detail)"
            } else {
                "the installed system runs and is proving itself"
            }
        return Standing(state: .provisioning, reason: reason)
    }

    private static func news(of status: NodeStatus, before: NodeStatus?) -> [News] {
        var news: [News] = []
        if status.bootID != before?.bootID, status.runningSlot != nil {
            news.append(News(kind: "boot", message: "started: \(running(status))"))
        }
        for entry in status.quarantined where !(before?.quarantined.contains(entry) ?? false) {
            news.append(
                News(
                    kind: "quarantine",
                    message: "release \(entry.release) failed here and is not tried again: \(entry.reason)"))
        }
        if let outcome = status.lastUpgrade, outcome != before?.lastUpgrade {
            news.append(News(kind: "upgrade", message: sentence(outcome)))
        }
        let failedBefore = Set((before?.health ?? []).filter { !$0.passed }.map(\.name))
        for check in status.health where !check.passed && !failedBefore.contains(check.name) {
            news.append(News(kind: "health", message: "check '\(check.name)' fails: \(check.detail)"))
        }
        return news
    }

    private static func sentence(_ outcome: UpgradeOutcome) -> String {
        let why = outcome.reason.isEmpty ? "" : ": \(outcome.reason)"
        return switch outcome.result {
        case .committed: "version \(outcome.version) is committed\(why)"
        case .refused: "version \(outcome.version) was refused\(why)"
        case .rolledBack: "version \(outcome.version) was rolled back\(why)"
        }
    }

    private static func running(_ status: NodeStatus) -> String {
        guard let slot = status.runningSlot else { return "it runs" }
        let version = status.slots[slot]?.version.map { " with version \($0)" } ?? ""
        guard status.startedByFirmware else { return "slot \(slot.letter)\(version), started by kexec" }
        guard let entry = status.bootEntry else { return "slot \(slot.letter)\(version), boot entry unknown" }
        let digits = String(entry, radix: 16, uppercase: true)
        let number = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        return "slot \(slot.letter)\(version), started by the firmware from Boot\(number)"
    }
}
