import ArgumentParser
import Foundation

/// How results are shown.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON instead of text for people.")
    var json = false

    /// Prints a value as JSON, or what `text` makes for people.
    func show(_ value: some Encodable, text: () -> String) throws {
        guard json else { return print(text()) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    /// Prints a value as one line of JSON, or what `text` makes for people; for what comes without end.
    func stream(_ value: some Encodable, text: () -> String) throws {
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(value), as: UTF8.self))
        } else {
            print(text())
        }
        fflush(nil)
    }
}

/// Rows under headings, columns as wide as needed.
func table(_ headings: [String], _ rows: [[String]], none: String) -> String {
    guard !rows.isEmpty else { return none }
    let all = [headings] + rows
    let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
        var line = ""
        for (column, cell) in row.enumerated() where !cell.isEmpty {
            let start = widths[..<column].reduce(0) { $0 + $1 + 2 }
            line += String(repeating: " ", count: max(0, start - line.count)) + printable(cell)
        }
        return line
    }.joined(separator: "\n")
}

/// Names and their values, one a line.
func listing(_ pairs: [(String, String)]) -> String {
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { name, value in
        name + ":" + String(repeating: " ", count: width - name.count + 1) + printable(value)
    }.joined(separator: "\n")
}

/// What machines say of themselves must not steer a person's terminal, nor turn a line's direction.
func printable(_ text: String) -> String {
    let steering: Set<Unicode.GeneralCategory> = [.control, .format, .lineSeparator, .paragraphSeparator]
    return String(
        String.UnicodeScalarView(
            text.unicodeScalars.map { steering.contains($0.properties.generalCategory) ? "?" : $0 }))
}

/// A point in time as `2026-11-23 08:15:00Z`.
func time(_ seconds: Int64) -> String {
    guard seconds > 0 else { return "never" }
    let text = Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
    return text.replacingOccurrences(of: "T", with: " ")
}

/// A size such as `104.2 MB` (10^6 bytes).
func size(_ bytes: UInt64) -> String {
    let units: [(UInt64, String)] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")]
    for (unit, name) in units where bytes >= unit {
        // In this order no size is too large, whatever a machine says of itself.
        let tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit
        return "\(tenths / 10).\(tenths % 10) \(name)"
    }
    return "\(bytes) B"
}

/// Labels as `key=value, key=value`.
func labels(_ labels: [String: String]) -> String {
    labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
}

/// Reads `key=value` words; a word `key-` removes where `allowsRemoval`.
func parseLabels(_ words: [String], allowsRemoval: Bool) throws -> [String: String?] {
    var parsed: [String: String?] = [:]
    for word in words {
        if let equals = word.firstIndex(of: "="), equals != word.startIndex {
            parsed[String(word[..<equals])] = String(word[word.index(after: equals)...])
        } else if allowsRemoval, word.hasSuffix("-"), word.count > 1 {
            parsed.updateValue(nil, forKey: String(word.dropLast()))
        } else {
            throw ValidationError(
                "'\(word)' is not a label: write key=value\(allowsRemoval ? ", or key- to remove" : "")")
        }
    }
    return parsed
}
