import Contract

/// Text from machines, made safe to show on an operator's terminal and bounded.
enum CleanText {
    /// One line without control characters, of at most `limit` bytes.
    static func line(_ text: String, limit: Int = 1024) -> String {
        clean(text, limit: limit) { $0 == "\n" || $0 == "\t" ? " " : nil }
    }

    /// Lines, without control characters but line ends and tabs, of at most `limit` bytes.
    static func lines(_ text: String, limit: Int) -> String {
        clean(text, limit: limit) { $0 == "\n" || $0 == "\t" ? $0 : nil }
    }

    private static func clean(
        _ text: String, limit: Int, control: (Unicode.Scalar) -> Unicode.Scalar?
    ) -> String {
        var result = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            guard let kept = isControl ? control(scalar) : scalar else { continue }
            bytes += UTF8.width(kept)
            guard bytes <= limit else { break }
            result.append(kept)
        }
        return String(result)
    }

    /// A report of a step whose texts are clean.
    static func step(_ step: StepReport) -> StepReport {
        var step = step
        step.sequence = line(step.sequence, limit: 64)
        step.step = line(step.step, limit: 64)
        step.unit = step.unit.map { line($0, limit: 32) }
        step.detail = line(step.detail, limit: 2048)
        return step
    }

    /// A status whose texts are clean and whose lists are bounded.
    static func status(_ status: NodeStatus) -> NodeStatus {
        var status = status
        status.acknowledgedCommands = status.acknowledgedCommands.prefix(64).map { line($0, limit: 64) }
        status.quarantined = status.quarantined.prefix(64).map {
            QuarantinedRelease(release: $0.release, reason: line($0.reason))
        }
        // Failed checks first: the limit never hides one behind those that hold.
        let health = status.health.filter { !$0.passed } + status.health.filter(\.passed)
        status.health = health.prefix(64).map {
            CheckResult(name: line($0.name, limit: 128), passed: $0.passed, detail: line($0.detail))
        }
        status.slots = status.slots.mapValues {
            SlotReport(
                state: line($0.state, limit: 32), release: $0.release, version: $0.version.map { line($0, limit: 128) })
        }
        if let outcome = status.lastUpgrade {
            status.lastUpgrade = UpgradeOutcome(
                release: outcome.release, version: line(outcome.version, limit: 128), result: outcome.result,
                reason: line(outcome.reason))
        }
        status.auditHeads = status.auditHeads.map { Array($0.suffix(WireLimit.auditHeads)) }
        status.bootID = line(status.bootID, limit: 64)
        status.agentVersion = line(status.agentVersion, limit: 64)
        return status
    }
}
