/// One thing that is wrong with a document.
public struct DocumentProblem: Sendable, Equatable, CustomStringConvertible {
    /// Where, such as `healthcheck.http.port` or `volumes[2].target`; empty for the whole document.
    public var path: String
    /// What stood there, shortened; nil where nothing did or it is not to be repeated.
    public var value: String?
    /// What is wrong and what is allowed.
    public var reason: String

    /// Makes a problem.
    public init(path: String, value: String? = nil, reason: String) {
        self.path = path
        self.value = value
        self.reason = reason
    }

    /// One line for people.
    public var description: String {
        let place = path.isEmpty ? "the document" : path
        return value.map { "\(place): '\($0)': \(reason)" } ?? "\(place): \(reason)"
    }
}

/// Everything that is wrong with a document, in the order in which it was found.
public struct DocumentError: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one problem, at most `WorkloadLimit.problems`.
    public var problems: [DocumentProblem]

    /// Makes an error.
    public init(problems: [DocumentProblem]) { self.problems = problems }

    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Gathers problems while a document is read, so that one answer names them all.
final class DocumentFindings {
    private(set) var problems: [DocumentProblem] = []

    func add(_ path: String, _ value: String? = nil, _ reason: String) {
        guard problems.count < WorkloadLimit.problems else { return }
        let printable = value.map { text in
            String(String.UnicodeScalarView(text.unicodeScalars.prefix(60).map { $0.value < 0x20 ? "?" : $0 }))
        }
        problems.append(DocumentProblem(path: path, value: printable, reason: reason))
    }

    func check() throws(DocumentError) {
        guard problems.isEmpty else { throw DocumentError(problems: problems) }
    }
}

/// Reads an object's fields by name; whatever was not asked for when it finishes is an unknown field.
struct DocumentReader {
    let path: String
    let findings: DocumentFindings
    private let fields: [String: DocumentValue]
    private var known: [String] = []

    init?(_ item: DocumentItem) {
        guard case .object(let fields) = item.value else {
            item.fail("allowed is an object with named fields")
            return nil
        }
        path = item.path
        findings = item.findings
        self.fields = fields
    }

    /// The field, unless it is missing or null.
    mutating func take(_ name: String) -> DocumentItem? {
        known.append(name)
        guard let value = fields[name], value != .null else { return nil }
        return DocumentItem(path: join(name), value: value, findings: findings)
    }

    /// The field; its absence is a problem that says what is allowed.
    mutating func require(_ name: String, _ allowed: String) -> DocumentItem? {
        if let item = take(name) { return item }
        findings.add(join(name), nil, "is missing; allowed is \(allowed)")
        return nil
    }

    /// Reports every field that was not asked for, with the nearest that was.
    func finish(hints: [String: String] = [:]) {
        for name in fields.keys.sorted() where !known.contains(name) {
            if let hint = hints[name] {
                findings.add(join(name), nil, "is not offered here: \(hint)")
            } else {
                let nearest = EditDistance.nearest(to: name, in: known)
                findings.add(
                    join(String(name.prefix(60))), nil,
                    "is not a known field" + (nearest.map { "; the nearest known one is '\($0)'" } ?? ""))
            }
        }
    }

    private func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}

/// A value with its place in the document.
struct DocumentItem {
    let path: String
    let value: DocumentValue
    let findings: DocumentFindings

    /// The value in words, for a problem's message.
    var shown: String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .integer(let number): String(number)
        case .decimal(let text), .string(let text): text
        case .array(let elements): "a list of \(elements.count)"
        case .object: "an object"
        }
    }

    func fail(_ reason: String) { findings.add(path, shown, reason) }

    /// Reports a text whose content is not to be repeated.
    func failSilently(_ reason: String) { findings.add(path, nil, reason) }

    func text(limit: Int = 4096) -> String? {
        guard case .string(let text) = value else {
            fail("allowed is a text; put it in quotes")
            return nil
        }
        guard text.utf8.count <= limit, !text.utf8.contains(0) else {
            failSilently("allowed is a text of at most \(limit) bytes without NUL")
            return nil
        }
        return text
    }

    /// A text that `parse` accepts.
    func parsed<Value>(_ allowed: String, limit: Int = 1024, _ parse: (String) -> Value?) -> Value? {
        guard let text = text(limit: limit) else { return nil }
        guard let value = parse(text) else {
            fail("allowed is \(allowed)")
            return nil
        }
        return value
    }

    func choice<Value: RawRepresentable & CaseIterable>(_: Value.Type) -> Value? where Value.RawValue == String {
        let all = Value.allCases.map(\.rawValue)
        guard case .string(let text) = value, let found = Value(rawValue: text) else {
            let nearest = EditDistance.nearest(to: shown, in: all)
            fail("allowed is one of \(all.joined(separator: ", "))" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
            return nil
        }
        return found
    }

    func flag() -> Bool? {
        guard case .bool(let flag) = value else {
            fail("allowed is true or false")
            return nil
        }
        return flag
    }

    func integer(_ range: ClosedRange<Int>) -> Int? {
        guard case .integer(let number) = value, let exact = Int(exactly: number), range.contains(exact) else {
            fail("allowed is a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return exact
    }

    func list(limit: Int = 256) -> [DocumentItem]? {
        guard case .array(let elements) = value else {
            fail("allowed is a list")
            return nil
        }
        guard elements.count <= limit else {
            fail("allowed is a list of at most \(limit)")
            return nil
        }
        return elements.enumerated().map { index, element in
            DocumentItem(path: "\(path)[\(index)]", value: element, findings: findings)
        }
    }

    /// The members of an object with free keys, sorted.
    func members(limit: Int = 256) -> [(key: String, item: DocumentItem)]? {
        guard case .object(let members) = value else {
            fail("allowed is an object")
            return nil
        }
        guard members.count <= limit else {
            fail("allowed is an object of at most \(limit) members")
            return nil
        }
        return members.sorted { $0.key < $1.key }.map { key, value in
            (key, DocumentItem(path: "\(path).\(key.prefix(60))", value: value, findings: findings))
        }
    }

    /// A size in bytes: a whole number, or a number with a unit of the Compose Specification.
    func bytes(_ range: ClosedRange<UInt64>) -> UInt64? {
        let parsed: UInt64? =
            switch value {
            case .integer(let number): UInt64(exactly: number)
            case .string(let text): WorkloadUnits.bytes(text)
            default: nil
            }
        guard let parsed, range.contains(parsed) else {
            fail(
                "allowed is a size from \(WorkloadUnits.text(bytes: range.lowerBound)) to "
                    + "\(WorkloadUnits.text(bytes: range.upperBound)), such as 64m, 64MiB or a number of bytes")
            return nil
        }
        return parsed
    }

    /// A duration in milliseconds, in the form of the Compose Specification.
    func milliseconds(_ range: ClosedRange<Int64>) -> Int64? {
        guard case .string(let text) = value, let parsed = WorkloadUnits.milliseconds(text), range.contains(parsed)
        else {
            fail(
                "allowed is a duration from \(WorkloadUnits.text(milliseconds: range.lowerBound)) to "
                    + "\(WorkloadUnits.text(milliseconds: range.upperBound)), such as 10s or 1m30s")
            return nil
        }
        return parsed
    }
}

/// The distance between two words, for naming what was probably meant.
enum EditDistance {
    /// The nearest of the candidates by edits; the first among equals, nil without candidates.
    static func nearest(to word: String, in candidates: [String]) -> String? {
        let word = String(word.prefix(64))
        return candidates.map { ($0, distance(word, $0)) }.min { $0.1 < $1.1 }?.0
    }

    /// Insertions, deletions, replacements and swaps of neighbours (Damerau's distance, restricted form).
    static func distance(_ first: String, _ second: String) -> Int {
        let first = Array(first.utf8)
        let second = Array(second.utf8)
        var before: [Int] = []
        var previous = Array(0...second.count)
        for i in 0..<first.count {
            var row = [i + 1]
            for j in 0..<second.count {
                var best = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (first[i] == second[j] ? 0 : 1))
                if i > 0, j > 0, first[i] == second[j - 1], first[i - 1] == second[j] {
                    best = min(best, before[j - 1] + 1)
                }
                row.append(best)
            }
            before = previous
            previous = row
        }
        return previous[second.count]
    }
}
