import Workloads
import Yams

extension WrittenDocument {
    /// Reads YAML documents strictly: one meaning for every word, no key twice, no merge keys, no tags, aliases only
    /// within a document and a bound. Empty documents are left out.
    static func yaml(_ bytes: [UInt8]) throws(WritingError) -> [WrittenDocument] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw WritingError(line: nil, "the text is not valid UTF-8")
        }
        guard !AliasBound.isExceeded(by: bytes) else {
            throw WritingError(
                line: nil, "there are more aliases ('*name') than a file of this size may have: write the values out")
        }
        var documents: [WrittenDocument] = []
        do {
            // Without rules of its own the library takes every word for text, and what it means is decided here.
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            var previous = Position(line: 0, column: 0)
            while let root = try parser.nextRoot() {
                var reader = YAMLReader(root: root, previous: previous)
                let value = try reader.read(root)
                previous = reader.start
                guard value != .null || !reader.problems.isEmpty else { continue }
                documents.append(WrittenDocument(value: value, lines: reader.lines, problems: reader.problems))
                guard documents.count <= Manuscript.documentsPerFile else {
                    throw WritingError(line: nil, "a file has at most \(Manuscript.documentsPerFile) documents")
                }
            }
        } catch let error as WritingError {
            throw WritingError(problems: documents.flatMap(\.problems) + error.problems)
        } catch {
            throw WritingError(problems: documents.flatMap(\.problems) + [YAMLSyntax.problem(error, in: text)])
        }
        return documents
    }
}

/// Where something stands, in the order of the text.
struct Position: Comparable {
    var line: Int
    var column: Int

    init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    init(_ node: Node) { self.init(line: node.mark?.line ?? 0, column: node.mark?.column ?? 0) }

    static func < (first: Position, second: Position) -> Bool {
        (first.line, first.column) < (second.line, second.column)
    }
}

/// Turns one document's nodes into a value, within the bounds that JSON documents have.
private struct YAMLReader {
    private(set) var problems: [ManuscriptError.Problem] = []
    private(set) var lines: [String: Int] = [:]
    let start: Position
    private let previous: Position
    private var valuesLeft = 20_000
    private let maximumDepth = 16

    init(root: Node, previous: Position) {
        start = Position(root)
        self.previous = previous
    }

    mutating func read(_ root: Node) throws(WritingError) -> DocumentValue {
        lines[""] = start.line
        // The library remembers names of earlier documents, which YAML does not (section 3.2.2.2).
        guard previous < start else { throw WritingError(line: nil, Self.foreignAlias) }
        return try value(root, path: "", depth: 0)
    }

    private static let foreignAlias = "an alias ('*name') leads to another document: write the value out"

    private mutating func value(_ node: Node, path: String, depth: Int) throws(WritingError) -> DocumentValue {
        let position = Position(node)
        guard position >= start else { throw WritingError(line: lines.line(of: path), Self.foreignAlias) }
        guard depth <= maximumDepth else {
            throw WritingError(line: position.line, "values are nested deeper than \(maximumDepth)")
        }
        guard valuesLeft > 0 else {
            throw WritingError(line: start.line, "the document has too many values, those of aliases included")
        }
        valuesLeft -= 1
        switch node {
        case .scalar(let scalar): return self.scalar(scalar, path: path, line: position.line)
        case .sequence(let sequence):
            check(tag: sequence.tag, allowed: [.seq], path: path, line: position.line)
            return .array(try elements(sequence, path: path, depth: depth))
        case .mapping(let mapping):
            check(tag: mapping.tag, allowed: [.map], path: path, line: position.line)
            return .object(try members(mapping, path: path, depth: depth))
        case .alias: throw WritingError(line: position.line, "an alias leads nowhere")
        }
    }

    private mutating func scalar(_ scalar: Node.Scalar, path: String, line: Int) -> DocumentValue {
        guard scalar.style == .plain else {
            check(tag: scalar.tag, allowed: [.str], path: path, line: line)
            return .string(scalar.string)
        }
        check(tag: scalar.tag, allowed: [], path: path, line: line)
        do throws(PlainScalar.Refusal) {
            return try PlainScalar.read(scalar.string)
        } catch {
            add(path, line, error.reason)
            return .null
        }
    }

    private mutating func elements(
        _ sequence: Node.Sequence, path: String, depth: Int
    ) throws(WritingError) -> [DocumentValue] {
        var values: [DocumentValue] = []
        for (index, node) in sequence.enumerated() {
            let place = "\(path)[\(index)]"
            if lines[place] == nil { lines[place] = node.mark?.line }
            values.append(try value(node, path: place, depth: depth + 1))
        }
        return values
    }

    private mutating func members(
        _ mapping: Node.Mapping, path: String, depth: Int
    ) throws(WritingError) -> [String: DocumentValue] {
        var members: [String: DocumentValue] = [:]
        for (key, node) in mapping {
            let line = Position(key).line
            guard case .scalar(let scalar) = key, ["", Tag.Name.str.rawValue].contains(scalar.tag.rawValue) else {
                add(path, line, "allowed are fields whose names are text")
                continue
            }
            let name = scalar.string
            guard scalar.style != .plain || (name != "<<" && !name.isEmpty) else {
                add(
                    path, line,
                    name.isEmpty ? "a field has no name" : "merge keys ('<<') are not taken: write the fields out")
                continue
            }
            // As the reader of documents shortens it, so that its problems are found here again.
            let place = (path.isEmpty ? "" : path + ".") + name.prefix(60)
            lines[place] = line
            if members.updateValue(try value(node, path: place, depth: depth + 1), forKey: name) != nil {
                add(place, line, "stands twice")
            }
        }
        return members
    }

    private mutating func check(tag: Tag, allowed: [Tag.Name], path: String, line: Int) {
        guard tag.rawValue.isEmpty || allowed.map(\.rawValue).contains(tag.rawValue) else {
            return add(path, line, "tags ('!name') are not taken: put text in quotes")
        }
    }

    private mutating func add(_ path: String, _ line: Int, _ reason: String) {
        guard problems.count < WorkloadLimit.problems else { return }
        problems.append(.init(line: line, reason: path.isEmpty ? reason : "\(path): \(reason)"))
    }
}

/// Bounds what aliases can make of a file before it is read: the library compares keys, and a key may be an alias of
/// aliases, whose size rises with every one of them.
enum AliasBound {
    /// The most bytes that a file may stand for.
    private static let expandedBytes = 64 << 20

    static func isExceeded(by bytes: [UInt8]) -> Bool {
        guard count(UInt8(ascii: "&"), in: bytes) > 0 else { return false }
        // With n aliases in k levels the size rises (n/k)^k times, which is at most e^(n/e), about 2^(n/2).
        let doublings = (count(UInt8(ascii: "*"), in: bytes) + 1) / 2
        return doublings > 26 || bytes.count << doublings > expandedBytes
    }

    /// How often `sign` stands where a name's sign can: after what divides words, and before something.
    private static func count(_ sign: UInt8, in bytes: [UInt8]) -> Int {
        bytes.indices.count { index in
            guard bytes[index] == sign, index + 1 < bytes.count, bytes[index + 1] > 0x20 else { return false }
            guard index > 0 else { return true }
            let before = bytes[index - 1]
            return before <= 0x20 || before >= 0x80 || "[{,:".utf8.contains(before)
        }
    }
}
