import Contract

/// A machine as its maker calls it: manufacturer, product and serial number, as far as there are any.
func machine(_ facts: Inventory.SMBIOS) -> String {
    [facts.manufacturer, facts.product, facts.serial].filter { !$0.isEmpty }.joined(separator: " ")
}

/// A node as names and values, for people.
func describe(_ node: NodeView) -> String {
    let facts = node.inventory
    var pairs = [
        ("id", node.id.rawValue), ("state", node.state.rawValue), ("reason", node.reason),
        ("labels", labels(node.labels)), ("registered", time(node.registeredSeconds)),
        ("last seen", time(node.lastSeenSeconds)),
        ("wanted release", node.desiredVersion ?? node.desiredRelease?.description ?? "none"),
        ("machine", machine(facts.smbios)),
        ("processor", "\(facts.processorCount) × \(facts.processor), \(facts.architecture.rawValue)"),
        ("memory", size(facts.memoryBytes)),
        ("firmware", "\(facts.firmware.vendor) \(facts.firmware.version)"),
        ("Secure Boot", facts.firmware.secureBoot ? "on" : "off"),
        ("TPM", facts.hasTPM ? "present" : "none"),
    ]
    pairs += facts.disks.map { disk in
        let words = [size(disk.sizeBytes), disk.transport, disk.model, disk.serial].filter { !$0.isEmpty }
        return ("disk \(disk.name)", words.joined(separator: " "))
    }
    pairs += facts.networkInterfaces.map { ("network \($0.name)", "\($0.address), \($0.hasLink ? "link" : "no link")") }
    if let status = node.status { pairs += describe(status) }
    return listing(pairs)
}

private func describe(_ status: NodeStatus) -> [(String, String)] {
    let entry = status.bootEntry.map { number in
        let digits = String(number, radix: 16, uppercase: true)
        return "Boot" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
    let start = status.startedByFirmware ? entry ?? "an unknown entry" : "kexec"
    var pairs = [
        ("phase", status.phase.rawValue),
        ("runs", "slot \(status.runningSlot?.letter ?? "-"), started by \(start)"),
        ("committed", "slot \(status.committedSlot?.letter ?? "-")"),
    ]
    for slot in SlotName.allCases {
        if let report = status.slots[slot] {
            pairs.append(("slot \(slot.letter)", "\(report.state) \(report.version ?? "")"))
        }
    }
    if let last = status.lastUpgrade {
        let reason = last.reason.isEmpty ? "" : ": \(last.reason)"
        pairs.append(("last upgrade", "\(last.version) \(last.result.rawValue)\(reason)"))
    }
    for entry in status.quarantined { pairs.append(("quarantined", "\(entry.release): \(entry.reason)")) }
    for check in status.health {
        pairs.append(("check \(check.name)", "\(check.passed ? "passes" : "FAILS"): \(check.detail)"))
    }
    pairs.append(("up", "\(status.uptimeSeconds) s, agent \(status.agentVersion)"))
    if let memory = status.memory {
        let used = memory.totalBytes - min(memory.availableBytes, memory.totalBytes)
        let agent = size(memory.agentBytes)
        pairs.append(("in use", "\(size(used)) of \(size(memory.totalBytes)) memory, the agent has \(agent)"))
    }
    return pairs
}

/// An event as a line for people; of one node, its id is left out.
func describe(_ event: Event, ofOneNode: Bool) -> String {
    let node = ofOneNode ? "" : event.node.map { "  \($0)" } ?? "  the server"
    guard let step = event.step else {
        return "\(time(event.timeSeconds))\(node)  \(event.kind)  \(printable(event.message))"
    }
    var text = "\(step.sequence)/\(step.step) \(step.state.rawValue)"
    if let done = step.done, let total = step.total, total > 0 {
        text += " \(done >= total ? 100 : UInt64(Double(done) / Double(total) * 100)) %"
    }
    if step.state == .finished || step.state == .failed { text += " after \(step.milliseconds) ms" }
    if !step.detail.isEmpty { text += ": \(step.detail)" }
    return "\(time(event.timeSeconds))\(node)  step  \(printable(text))"
}
