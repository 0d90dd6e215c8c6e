import Contract
public import Workloads

/// A workload document as a person wrote it, in YAML or JSON, read and found to be in order.
public struct Manuscript: Sendable {
    /// The workload; its image may still have a tag alone, which the server resolves.
    public let workload: Workload
    /// The document with just the fields that were written.
    public let document: DocumentValue
    /// Where each field stands, by its path.
    let lines: [String: Int]

    /// The line on which a problem's field, or the nearest one around it, stands; counted from 1.
    public func line(of path: String) -> Int? { lines.line(of: path) }
}

/// What is wrong with a file of workload documents.
public struct ManuscriptError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One mistake.
    public struct Problem: Sendable, Equatable {
        /// Its line, counted from 1; nil where none can be told.
        public var line: Int?
        /// What is wrong there and what is allowed.
        public var reason: String

        /// Makes a problem.
        public init(line: Int?, reason: String) {
            self.line = line
            self.reason = reason
        }
    }

    /// The file, as it is called to people.
    public var file: String
    /// At least one mistake.
    public var problems: [Problem]

    /// Makes an error.
    public init(file: String, problems: [Problem]) {
        self.file = file
        self.problems = problems
    }

    /// One line for one mistake; else a line that says how many there are, and one for each.
    public var description: String {
        let lines = problems.map { problem in
            (problem.line.map { "line \($0): " } ?? "") + problem.reason
        }
        guard lines.count > 1 else { return "\(file): " + lines.joined() }
        return "\(file) has \(lines.count) mistakes:\n" + lines.map { "  " + $0 }.joined(separator: "\n")
    }
}

extension Manuscript {
    /// The largest file that is read, in bytes.
    public static let fileBytes = 1 << 20
    /// The most documents that one file may have.
    public static let documentsPerFile = 256

    /// Reads a file with one JSON document, or with any number of YAML documents divided by `---`.
    ///
    /// Returns the documents in the order in which they can be applied: each after those that it links to or depends
    /// on. The error names every mistake of every document, with its line.
    ///
    /// - Parameter file: how the file is called in errors; a name that ends with `.json` is read as JSON, and every
    ///   other as JSON where it begins as only JSON does.
    public static func read(_ bytes: [UInt8], file: String) throws(ManuscriptError) -> [Manuscript] {
        guard bytes.count <= fileBytes else {
            throw ManuscriptError(
                file: file, problems: [.init(line: nil, reason: "is larger than the \(fileBytes) bytes that are read")])
        }
        let parts: [WrittenDocument]
        do throws(WritingError) {
            parts = try isJSON(bytes, file: file) ? [.init(json: bytes)] : WrittenDocument.yaml(bytes)
        } catch {
            throw ManuscriptError(file: file, problems: error.problems)
        }
        var problems = parts.isEmpty ? [ManuscriptError.Problem(line: nil, reason: "there is no document in it")] : []
        var found: [Manuscript] = []
        for part in parts {
            do throws(WritingError) {
                let new = try Manuscript(part)
                if found.contains(where: { $0.workload.name == new.workload.name }) {
                    let reason = "name: '\(new.workload.name)': another document of this file has the same name"
                    problems.append(.init(line: new.line(of: "name"), reason: reason))
                }
                found.append(new)
            } catch {
                problems += error.problems.sorted { $0.line ?? 0 < $1.line ?? 0 }
            }
        }
        guard problems.isEmpty else { throw ManuscriptError(file: file, problems: problems) }
        do throws(DependencyCycle) {
            return try sorted(found)
        } catch {
            throw ManuscriptError(file: file, problems: [.init(line: nil, reason: error.description)])
        }
    }

    /// Mistakes of the text and those of the document together: a line that could not be read is judged once.
    private init(_ part: WrittenDocument) throws(WritingError) {
        let unread = Set(part.problems.map(\.line))
        if part.value["services"] != nil, part.value["image"] == nil {
            throw WritingError(
                line: part.lines.line(of: "services"),
                "services: this is a file for Compose: here each workload is a document of its own, with its name and "
                    + "image at the top, divided from the next by '---'")
        }
        do throws(DocumentError) {
            workload = try Workload(document: part.value, requiresDigest: false)
        } catch {
            let problems = error.problems.map { problem in
                ManuscriptError.Problem(line: part.lines.line(of: problem.path), reason: problem.description)
            }
            let all = part.problems + problems.filter { !unread.contains($0.line) }
            throw WritingError(problems: all.isEmpty ? problems : all)
        }
        guard part.problems.isEmpty else { throw WritingError(problems: part.problems) }
        document = part.value
        lines = part.lines
    }

    private static func sorted(_ found: [Manuscript]) throws(DependencyCycle) -> [Manuscript] {
        let edges = Dictionary(found.map { ($0.workload.name, $0.workload.revision.dependencies) }) { first, _ in first
        }
        let order = try DependencyOrder.sorted(edges)
        let places = Dictionary(order.enumerated().map { ($1, $0) }) { first, _ in first }
        return found.sorted { places[$0.workload.name] ?? 0 < places[$1.workload.name] ?? 0 }
    }

    /// YAML takes nearly all JSON; what begins like `{"` or is named so is read by JSON's own, stricter rules.
    private static func isJSON(_ bytes: [UInt8], file: String) -> Bool {
        let spaces: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
        let start = bytes.lazy.filter { !spaces.contains($0) }.prefix(2)
        return file.hasSuffix(".json") || start.elementsEqual("{\"".utf8)
    }
}

/// Mistakes of one document, before the file's name is known.
struct WritingError: Error {
    var problems: [ManuscriptError.Problem]

    init(problems: [ManuscriptError.Problem]) { self.problems = problems }

    init(line: Int?, _ reason: String) { problems = [.init(line: line, reason: reason)] }
}

/// A document's value, where its fields stand, and which of them could not be read: those are null.
struct WrittenDocument {
    var value: DocumentValue
    var lines: [String: Int]
    var problems: [ManuscriptError.Problem]

    init(value: DocumentValue, lines: [String: Int], problems: [ManuscriptError.Problem]) {
        self.value = value
        self.lines = lines
        self.problems = problems
    }

    /// Reads JSON strictly; its lines are found by reading it as YAML, where that is possible.
    init(json bytes: [UInt8]) throws(WritingError) {
        do throws(WireError) {
            value = try DocumentValue(parsing: bytes)
        } catch {
            throw WritingError(line: nil, error.description)
        }
        lines = (try? WrittenDocument.yaml(bytes))?.first?.lines ?? [:]
        problems = []
    }
}

extension [String: Int] {
    /// The line of a path, or of the nearest one around it.
    func line(of path: String) -> Int? {
        var rest = Substring(path)
        while true {
            if let line = self[String(rest)] { return line }
            guard let end = rest.lastIndex(where: { $0 == "." || $0 == "[" }) else { return self[""] }
            rest = rest[..<end]
        }
    }
}
