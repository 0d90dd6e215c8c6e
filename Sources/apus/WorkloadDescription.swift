import Contract
import Workloads

/// The first digits of a revision's name, as commands take them.
func short(_ revision: Digest256) -> String { String(revision.description.prefix(12)) }

/// An image for people: its tag where it has one, else the first digits of its digest.
func shortImage(_ image: String) -> String {
    guard let at = image.firstIndex(of: "@") else { return image }
    let name = image[..<at]
    let path = name.drop { $0 != "/" }
    return path.contains(":") ? String(name) : "\(name)@\(image[image.index(after: at)...].prefix(19))"
}

/// A text that is cut where it is longer than a column should be.
func shortened(_ text: String, to length: Int) -> String {
    text.count <= length ? text : text.prefix(length - 1) + "…"
}

/// `1 node`, `3 nodes`.
func counted(_ number: Int, _ thing: String) -> String { "\(number) \(thing)\(number == 1 ? "" : "s")" }

/// A node's name as people gave it, or the first characters of its id.
func nodeName(_ place: WorkloadOnNode) -> String { place.nodeName ?? String(place.node.rawValue.prefix(12)) }

/// The phases, what wants attention first.
private let attention: [WorkloadReport.Phase?] = [
    .failed, .stuck, .restarting, nil, .waiting, .pulling, .preparing, .starting, .completed, .stopped, .running,
]

private func word(_ phase: WorkloadReport.Phase?) -> String { phase?.rawValue ?? "not reported" }

/// A workload's state on all its nodes in a word or a few.
func standing(of view: WorkloadView) -> String {
    let phases = view.nodes.map(\.phase)
    guard let first = phases.first else { return view.isStopped ? "stopped" : "on no node" }
    let text =
        phases.allSatisfy { $0 == first }
        ? word(first)
        : attention.compactMap { phase in
            let number = phases.count { $0 == phase }
            return number == 0 ? nil : "\(number) \(word(phase))"
        }.joined(separator: ", ")
    return view.isStopped && text != "stopped" ? "stopping: \(text)" : text
}

/// What is to be said of the node that wants attention most; empty where nothing is.
func mainReason(_ view: WorkloadView) -> String {
    for phase in attention {
        if let place = view.nodes.first(where: { $0.phase == phase && !$0.reason.isEmpty }) { return place.reason }
    }
    return ""
}

/// A workload as names and values and its nodes as a table, for people.
func describe(_ detail: WorkloadDetail) -> String {
    let view = detail.workload
    var pairs = [
        ("name", view.name.rawValue), ("kind", view.kind.rawValue), ("state", standing(of: view)),
        ("image", view.image), ("revision", view.revision.description), ("labels", labels(view.labels)),
        ("created", time(view.createdSeconds)), ("changed", time(view.changedSeconds)),
    ]
    pairs += ["command", "environment", "ports", "volumes", "secrets", "permissions"].compactMap { field in
        described(detail.document[field]).map { (field, $0) }
    }
    let nodes = table(
        ["NODE", "NAME", "STATE", "REVISION", "REPORTED", "REASON"],
        view.nodes.map { place in
            [
                place.node.rawValue, place.nodeName ?? "",
                word(place.phase) + (place.isPlaced ? "" : ", to be removed"),
                place.revision.map(short) ?? "-", place.reportedSeconds.map(time) ?? "never", place.reason,
            ]
        }, none: "it runs on no node: no node matches its placement")
    return ([listing(pairs), nodes] + [callTable(view)].compactMap(\.self)).joined(separator: "\n\n")
}

/// What a function did on each node since the node's agent started; nil where no node has said anything of calls.
private func callTable(_ view: WorkloadView) -> String? {
    let rows = view.nodes.compactMap { place in
        place.calls.map { calls in
            let average = calls.calls > 0 ? "\(calls.durationMilliseconds / Int64(calls.calls)) ms" : "-"
            return [
                nodeName(place), "\(calls.calls)", "\(calls.errors)", "\(calls.timeouts)", "\(calls.throttles)",
                "\(calls.coldStarts)", average, calls.calls > 0 ? "\(calls.longestMilliseconds) ms" : "-",
                "\(calls.instances)", "\(calls.queued)",
            ]
        }
    }
    guard !rows.isEmpty else { return nil }
    let headings = [
        "NODE", "CALLS", "ERRORS", "TIME-OUTS", "THROTTLED", "COLD STARTS", "AVERAGE", "LONGEST", "INSTANCES",
        "WAITING",
    ]
    return table(headings, rows, none: "")
}

/// A field of a document on one line; nil where it says nothing. The whole document is JSON's to show.
private func described(_ value: DocumentValue?) -> String? {
    switch value {
    case nil, .null, .array([]), .object([:]): nil
    case .array(let elements): elements.map(text).joined(separator: ", ")
    case .object(let members): members.keys.sorted().joined(separator: ", ")
    case .some(let value): text(value)
    }
}

private func text(_ value: DocumentValue) -> String {
    if case .string(let text) = value { return text }
    return String(decoding: value.json, as: UTF8.self)
}
