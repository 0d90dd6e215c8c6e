/// Text from firmware, devices and other programs, made fit to be shown, logged and sent.
public enum Text {
    /// Takes out control and formatting characters, joins runs of blanks, trims, and cuts to `limit` characters.
    public static func clean(_ text: some StringProtocol, limit: Int = 128) -> String {
        var cleaned = String.UnicodeScalarView()
        var isBlankPending = false
        var count = 0
        for scalar in text.unicodeScalars {
            if scalar.properties.isWhitespace {
                isBlankPending = count > 0
                continue
            }
            guard isPrintable(scalar) else { continue }
            guard count < limit else { break }
            if isBlankPending {
                cleaned.append(" ")
                count += 1
                isBlankPending = false
                guard count < limit else { break }
            }
            cleaned.append(scalar)
            count += 1
        }
        return String(cleaned)
    }

    /// Not a control, formatting, private, unassigned or broken character; U+FFFD stands for bytes that are no UTF-8.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: false
        default: scalar != "\u{fffd}"
        }
    }
}
