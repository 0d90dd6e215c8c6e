import CAttack
import Glibc

/// Lines of JSON on standard output (`Sources/Lab/Attack/AttackReport.swift` reads them). Each is written at once, because
/// the next moment may not come.
enum Report {
    private static let detailLimit = 200

    static func line(_ fields: [(String, String)]) {
        let body = fields.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",")
        let bytes = Array("{\(body)}\n".utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            sent += count
        }
    }

    static func said(_ row: String, _ attempt: String, _ said: Said) {
        line([
            ("row", quoted(row)), ("attempt", quoted(attempt)), ("said", quoted(said.word)),
            ("detail", quoted(String(said.detail.prefix(detailLimit)))),
        ])
    }

    static func moment(_ row: String, _ what: String) {
        line([("row", quoted(row)), (what, "\(attack_now())")])
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case let scalar where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
