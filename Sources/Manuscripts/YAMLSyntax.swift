import Yams

/// The library's errors in the words of this program.
enum YAMLSyntax {
    static func problem(_ error: any Error, in text: String) -> ManuscriptError.Problem {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            let isTab = character(at: mark, in: text) == "\t"
            return .init(line: mark.line, reason: isTab ? "a tab: YAML is indented with spaces" : words(problem))
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "'\($0.prefix(60))'" }.joined(separator: ", ")
            return .init(line: context.mark.line, reason: "stands twice in one object: \(names)")
        case .reader(_, let offset?, _, _):
            let line = text.prefix(offset).unicodeScalars.count { $0 == "\n" } + 1
            return .init(line: line, reason: "a character that no text may have")
        default: return .init(line: nil, reason: "the text is not YAML")
        }
    }

    private static func words(_ problem: String) -> String {
        switch problem {
        case "mapping values are not allowed in this context":
            "no field can begin here: look at the indentation, or put text that has a colon in quotes"
        case "did not find expected key", "could not find expected ':'":
            "a field and a colon are expected: look at the indentation of this line and the one before"
        case "did not find expected '-' indicator": "a '-' is expected: look at the indentation"
        case "did not find expected alphabetic or numeric character":
            "put text that begins with '*' or '&' in quotes"
        case "found undefined alias": "an alias ('*name') has no anchor ('&name') before it: put text in quotes"
        case "found character that cannot start any token": "put text that begins with this character in quotes"
        default: "not valid YAML: \(problem)"
        }
    }

    private static func character(at mark: Mark, in text: String) -> Unicode.Scalar? {
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.indices.contains(mark.line - 1) else { return nil }
        return lines[mark.line - 1].dropFirst(mark.column - 1).first
    }
}
