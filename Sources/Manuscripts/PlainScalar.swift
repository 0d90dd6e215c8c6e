import Workloads

/// What an unquoted word of YAML means, by the core schema of YAML 1.2 (section 10.3.2).
///
/// What YAML 1.1 reads differently is refused: whoever wrote it cannot know which of the two a program follows. The
/// values are not repeated in the reasons, as they may be secret.
enum PlainScalar {
    /// Why a word has no meaning here.
    struct Refusal: Error {
        var reason: String
    }

    /// Booleans of YAML 1.1 that are text in 1.2.
    private static let doubtfulWords: Set<String> = [
        "y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    ]

    static func read(_ text: String) throws(Refusal) -> DocumentValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        if doubtfulWords.contains(text) {
            throw Refusal(
                reason: "'\(text)' is a truth value for some programs and text for others: write true or false, or put "
                    + "it in quotes")
        }
        guard let first = text.utf8.first, "+-.0123456789".utf8.contains(first) else { return .string(text) }
        return try number(text) ?? .string(text)
    }

    /// The number that `text` is in every version of YAML; nil where it is text in every version.
    private static func number(_ text: String) throws(Refusal) -> DocumentValue? {
        if text.wholeMatch(of: /-?(0|[1-9][0-9]*)/) != nil, text != "-0" {
            guard let number = Int64(text) else {
                throw Refusal(reason: "a number that does not fit 64 bits: put it in quotes if it is text")
            }
            return .integer(number)
        }
        if text.wholeMatch(of: /-?(0|[1-9][0-9]*)\.[0-9]+/) != nil {
            guard text.utf8.count <= 32 else { throw Refusal(reason: "a number of more than 32 characters") }
            return .decimal(text)
        }
        if text.wholeMatch(of: /[-+]?0[0-9_]+|0o[0-7]+/) != nil {
            throw Refusal(
                reason:
                    "a number that begins with 0 is octal for some programs and decimal for others: put it in quotes")
        }
        if text.wholeMatch(of: /[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?/) != nil {
            throw Refusal(reason: "numbers with colons are read to base 60 by some programs: put it in quotes")
        }
        let decimal = /[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?/
        let special = /0x[0-9a-fA-F_]+|[-+]?0b[01_]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)/
        guard text.wholeMatch(of: decimal) == nil, text.wholeMatch(of: special) == nil else {
            throw Refusal(reason: "write the number in plain decimal digits, or put it in quotes if it is text")
        }
        return nil
    }
}
