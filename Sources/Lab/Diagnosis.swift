import Contract
import FoundationEssentials
import Operator

/// What a person needs to see when a scenario failed: the step, what was awaited, and everybody's last words.
enum Diagnosis {
    /// The lines, gathered while server and machine still run where they can.
    static func lines(of rehearsal: Rehearsal, error: any Error) -> [String] {
        var lines = ["", "FAILED \(rehearsal.name): \(error)"]
        lines.append("  step: \(rehearsal.timeline.current ?? "before the first step")")
        if let awaited = rehearsal.awaited { lines.append("  awaited: \(awaited)") }
        let machine = rehearsal.machine
        lines.append(
            "  machine: \(machine.isRunning ? "running" : "off"), \(machine.resets) resets, of which "
                + "\(machine.watchdogResets) by the watchdog")
        if let node = try? rehearsal.nodeIfKnown() {
            lines.append("  node: \(node.state.rawValue), \(node.reason)")
            if let status = node.status { lines.append("  status: \(summary(status))") }
        }
        lines += section("console", machine.console.tail(25))
        lines += section("agent and init, as the server has them", nodeLog(rehearsal).suffix(20))
        lines += section("server's events", rehearsal.events.suffix(12).map { "\($0.kind): \($0.message)" })
        lines += section("server's log", Files.tail(rehearsal.server.logPath, lines: 12))
        lines += section("QEMU", Files.tail(rehearsal.directory + "/qemu.log", lines: 5))
        lines.append("  everything is kept in '\(rehearsal.directory)'")
        return lines
    }

    private static func section(_ title: String, _ content: some Collection<String>) -> [String] {
        content.isEmpty ? ["  \(title): nothing"] : ["  last lines of \(title):"] + content.map { "    | \($0)" }
    }

    private static func nodeLog(_ rehearsal: Rehearsal) -> [String] {
        guard let api = try? rehearsal.server.api(), let node = try? rehearsal.nodeIfKnown(),
            let entries = try? api.logs(node.id)
        else { return [] }
        return entries.flatMap { entry in entry.text.split(separator: "\n").map { "\(entry.source): \($0)" } }
    }

    private static func summary(_ status: NodeStatus) -> String {
        let slot = status.runningSlot?.letter ?? "none"
        let entry = status.bootEntry.map(NVRAM.bootName) ?? "unknown entry"
        let outcome = status.lastUpgrade.map { ", last upgrade \($0.result.rawValue): \($0.reason)" } ?? ""
        return "\(status.phase.rawValue) in slot \(slot) by \(entry), up \(status.uptimeSeconds) s\(outcome)"
    }
}
