import ArgumentParser
import Contract
import Fetch
import Foundation
import Manuscripts
import Operator
import Workloads

struct WorkloadApply: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Makes workloads what documents say: new ones, or new revisions.",
        discussion: """
            A file holds one JSON document, or YAML documents divided by '---'. All of them are checked before the \
            first is sent, and sent in the order in which they depend on each other. docs/workloads.md describes them.
            """)
    @Option(
        name: .shortAndLong, help: "A file with workload documents, or - for standard input; may be repeated.",
        completion: .file(extensions: ["yaml", "yml", "json"]))
    var file: [String]
    @Flag(help: "Only check the files; no server is asked.")
    var check = false
    @Option(help: "Wait up to this many seconds until every node runs them; failing is then exit code 1.")
    var wait: Int?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !file.isEmpty else { throw ValidationError("name a file with -f, or - for standard input") }
        guard file.count(where: { $0 == "-" }) <= 1 else { throw ValidationError("standard input can be read once") }
        if let wait, !(1...86_400).contains(wait) { throw ValidationError("--wait is 1 to 86400 seconds") }
        if check, wait != nil { throw ValidationError("--check sends nothing that could be waited for") }
    }

    func run() throws {
        try reporting {
            let documents = try file.flatMap(documents)
            guard !check else {
                return try output.show(Checked(workloads: documents.map(\.manuscript.workload.name))) {
                    documents.map { "'\($0.manuscript.workload.name)' is in order" }.joined(separator: "\n")
                }
            }
            let api = try connection.open()
            var applied: [AppliedWorkload] = []
            // What was accepted before a refusal stays so, and is told of.
            defer { if applied.count < documents.count, !applied.isEmpty { try? show(applied) } }
            for document in documents {
                applied.append(try send(document, api))
                if let wait, let last = applied.last { try Waiting(api, seconds: wait).until(last) }
            }
            try show(applied)
        }
    }

    private struct Document {
        var manuscript: Manuscript
        var file: String
    }

    /// What `--check --json` prints.
    private struct Checked: Encodable {
        var workloads: [WorkloadName]
    }

    /// What `--json` prints.
    private struct AppliedList: Encodable {
        var workloads: [AppliedWorkload]
    }

    private func documents(_ path: String) throws -> [Document] {
        let bytes =
            try path == "-" ? readStandardInput(limit: Manuscript.fileBytes) : read(path, limit: Manuscript.fileBytes)
        let name = path == "-" ? "standard input" : path
        return try Manuscript.read(bytes, file: name).map { Document(manuscript: $0, file: name) }
    }

    /// Sends a document; a refusal's problems get the lines on which their fields stand.
    private func send(_ document: Document, _ api: OperatorClient) throws -> AppliedWorkload {
        let name = document.manuscript.workload.name
        do {
            let answer = try api.apply(name, document: document.manuscript.document)
            for remark in answer.notes { note("'\(name)': \(printable(remark))") }
            return answer
        } catch FetchError.status(_, let refusal?) where refusal.problems?.isEmpty == false {
            throw ManuscriptError(
                file: document.file,
                problems: (refusal.problems ?? []).map { problem in
                    let path = problem.firstRange(of: ": ").map { String(problem[..<$0.lowerBound]) } ?? ""
                    return .init(line: document.manuscript.line(of: path), reason: printable(problem))
                })
        }
    }

    private func show(_ applied: [AppliedWorkload]) throws {
        try output.show(AppliedList(workloads: applied)) {
            applied.map { answer in
                let nodes = counted(answer.nodes.count, "node")
                return answer.isChanged
                    ? "'\(answer.name)' is now revision \(short(answer.revision)), on \(nodes)"
                    : "'\(answer.name)' is unchanged, on \(nodes)"
            }.joined(separator: "\n")
        }
    }
}

/// Waits until a workload runs as it was applied.
private struct Waiting {
    let api: OperatorClient
    let seconds: Int

    init(_ api: OperatorClient, seconds: Int) {
        self.api = api
        self.seconds = seconds
    }

    /// Events wake it; what counts is what the nodes say.
    func until(_ applied: AppliedWorkload) throws {
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        var last = try api.newestEvent()
        while true {
            let places = try api.workload(applied.name).workload.nodes.filter(\.isPlaced)
            if places.allSatisfy({ Self.isThere($0, applied.revision) }) { return }
            // What a node says of an earlier revision may be older than this one.
            if let place = places.first(where: { $0.revision == applied.revision && Self.hasFailed($0) }) {
                throw Failure("'\(applied.name)' does not run on node \(nodeName(place)): \(printable(place.reason))")
            }
            let left = Int((end - clock.now).components.seconds)
            guard left > 0 else {
                let place = places.first { !Self.isThere($0, applied.revision) }
                let state = place.map { place in
                    let reason = place.reason.isEmpty ? "" : ": \(printable(place.reason))"
                    return "\(place.phase?.rawValue ?? "not reported") on node \(nodeName(place))\(reason)"
                }
                throw Failure("'\(applied.name)' does not run everywhere after \(seconds) s: \(state ?? "unknown")")
            }
            last = try api.events(after: last, waitSeconds: min(left, 5)).last?.sequence ?? last
        }
    }

    private static func hasFailed(_ place: WorkloadOnNode) -> Bool { place.phase == .failed || place.phase == .stuck }

    private static func isThere(_ place: WorkloadOnNode, _ revision: Digest256) -> Bool {
        place.revision == revision && (place.phase == .running || place.phase == .completed)
    }
}
