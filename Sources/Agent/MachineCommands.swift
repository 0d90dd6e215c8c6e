internal import Contract
internal import Linux
internal import Node

/// Commands that concern the machine as a whole.
enum MachineCommands {
    /// How many of the journal's newest lines are sent.
    private static let journalLines = 2000

    static func carryOut(
        _ command: NodeCommand, _ conversation: Conversation, _ workloads: WorkloadSupervisor
    ) throws {
        switch command.kind {
        case .reboot: try restart(conversation, workloads)
        case .powerOff:
            try leave("poweroff", conversation, workloads)
        case .sendLogs: try sendJournal(conversation)
        case .reprovision, .clearQuarantine: throw NodeError("'\(command.kind.rawValue)' is no command of the machine")
        }
    }

    /// Restarts in good order, after workloads have stopped and what is queued was sent, or their times have passed.
    static func restart(_ conversation: Conversation, _ workloads: WorkloadSupervisor) throws {
        try leave("reboot", conversation, workloads)
    }

    /// Workloads stop first, those that depend on others before them; systemd stops what is left in no order.
    private static func leave(
        _ verb: String, _ conversation: Conversation, _ workloads: WorkloadSupervisor
    ) throws {
        workloads.stopAll()
        conversation.drain(seconds: 10)
        do {
            try run("/usr/bin/systemctl", ["--no-block", verb])
        } catch {
            workloads.resume()
            throw error
        }
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let outcome = try Processes.run(program, arguments, timeoutSeconds: 60)
        guard outcome.succeeded else {
            let said = String(decoding: outcome.errorOutput.prefix(300), as: UTF8.self)
            throw NodeError("\(program) \(arguments.joined(separator: " ")): \(outcome.summary) \(said)")
        }
    }

    private static func sendJournal(_ conversation: Conversation) throws {
        let outcome = try Processes.run(
            "/usr/bin/journalctl", ["--no-pager", "--output=short-iso", "--lines=\(journalLines)"],
            outputLimitBytes: 2 << 20, timeoutSeconds: 60)
        // Half of the limit for each piece: JSON may escape, and control characters need six bytes for one.
        var piece = ""
        for line in outcome.output.split(separator: UInt8(ascii: "\n")) {
            let text = ConsoleText.printable(String(decoding: line.prefix(4096), as: UTF8.self))
            if piece.utf8.count + text.utf8.count > WireLimit.logChunk / 2 {
                try conversation.send(LogChunk(source: "journal", text: piece))
                piece = ""
            }
            piece += text + "\n"
        }
        if !piece.isEmpty { try conversation.send(LogChunk(source: "journal", text: piece)) }
    }
}
