import Access
import ArgumentParser
import Contract
import Cryptography
import Foundation
import Operator

/// `apus audit …`
struct AuditCommands: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Lists and verifies the server's audit log.",
        subcommands: [AuditListing.self, AuditVerify.self])
}

struct AuditListing: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists who changed what, and what was refused; oldest first.")
    @Option(help: "Only entries of this user.")
    var user: String?
    @Option(help: "Only entries after this number.")
    var after: Int64 = 0
    @Option(help: "At most the newest so many.")
    var tail: Int?
    @Flag(help: "Only what was refused.")
    var refused = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            var entries: [AuditEntry] = []
            try AuditLog(try connection.open()).forEach(after: max(0, after)) { record in
                let entry = try Wire.decode(AuditEntry.self, from: Array(record.entry.utf8))
                guard user.map({ $0 == entry.who }) ?? true, !refused || entry.outcome == .refused else { return }
                entries.append(entry)
                if let tail, entries.count > 2 * max(1, tail) { entries.removeFirst(entries.count - tail) }
            }
            if let tail { entries = entries.suffix(max(0, tail)) }
            try output.show(entries) {
                table(
                    ["ENTRY", "TIME", "WHO", "FROM", "WHAT", "OUTCOME", "DETAIL"],
                    entries.map { entry in
                        [
                            "\(entry.sequence)", time(entry.timeSeconds),
                            entry.who + (entry.token.map { " (\($0))" } ?? ""), entry.from, entry.action,
                            entry.outcome.rawValue, entry.detail,
                        ]
                    }, none: "no entries")
            }
        }
    }
}

struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Says whether an entry of the audit log was altered or removed.",
        discussion: """
            Every entry carries a hash over the one before it. A tail that was cut, or a log that was made anew, shows by \
            what this command remembered when it ran last, and by what nodes remember. Exit code 1 where the log cannot \
            be believed.
            """)
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    private struct Verdict: Encodable {
        var isSound: Bool
        var entries: Int64
        var head: String
        var witnesses: Int
        var fault: String?
        var entry: Int64?
    }

    func run() throws {
        try reporting {
            let api = try connection.open()
            let memory = try AuditHeads.usual()
            let server = try AuditHeads.name(ofServerWith: api.caCertificate)
            let witnesses = try api.auditWitnesses()
            var remembered = witnesses.map { (head: $0.head, by: "node \($0.node)") }
            if let own = memory.heads[server] { remembered.append((own, "this machine")) }
            var verifier = AuditChain.Verifier(remembered: remembered)
            do {
                try AuditLog(api).forEach(after: 0) { try verifier.take($0) }
                try verifier.finish()
            } catch let fault as AuditChain.Fault {
                let verdict = Verdict(
                    isSound: false, entries: verifier.head.count, head: verifier.head.hash.description,
                    witnesses: Set(witnesses.map(\.node)).count, fault: fault.description, entry: fault.sequence)
                try output.show(verdict) { "the audit log cannot be believed: \(fault.description)" }
                throw ExitCode.failure
            }
            try memory.remember(verifier.head, of: server)
            let verdict = Verdict(
                isSound: true, entries: verifier.head.count, head: verifier.head.hash.description,
                witnesses: Set(witnesses.map(\.node)).count, fault: nil, entry: nil)
            try output.show(verdict) {
                let nodes = Set(witnesses.map(\.node)).count
                let others = nodes == 0 ? "no node remembers it yet" : "what \(nodes) nodes remember agrees"
                return
                    "the audit log is whole: \(verifier.head.count) entries, which end with \(verifier.head.hash); \(others)"
            }
        }
    }
}

/// The log, page by page.
struct AuditLog {
    private let api: OperatorClient

    init(_ api: OperatorClient) { self.api = api }

    func forEach(after sequence: Int64, _ body: (AuditRecord) throws -> Void) throws {
        var next = sequence
        while true {
            let page = try api.audit(after: next)
            guard !page.records.isEmpty else { return }
            for record in page.records { try body(record) }
            next += Int64(page.records.count)
        }
    }
}

/// How the logs of servers ended when they were verified last.
struct AuditHeads: Codable {
    /// By the SHA-256 of a server's CA certificate.
    private(set) var heads: [String: AuditHead] = [:]

    static func usual() throws -> AuditHeads {
        let path = Self.path
        guard FileManager.default.fileExists(atPath: path) else { return AuditHeads() }
        guard let heads = try? JSONDecoder().decode(AuditHeads.self, from: Data(try read(path, limit: 1 << 20))) else {
            throw Failure("'\(path)' is damaged: what was remembered of audit logs is lost; remove the file to go on")
        }
        return heads
    }

    func remember(_ head: AuditHead, of server: String) throws {
        var changed = self
        changed.heads[server] = head
        try OwnerFile.write(try JSONEncoder().encode(changed), to: Self.path)
    }

    static func name(ofServerWith caCertificate: String) throws -> String {
        guard let digest = Digest256(bytes: SHA256.digest(Array(caCertificate.utf8))) else {
            throw Failure("the server's CA certificate has no digest")
        }
        return digest.description
    }

    private static var path: String {
        configurationFolder(ProcessInfo.processInfo.environment) + "/audit-heads.json"
    }
}
