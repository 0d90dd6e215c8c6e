/// Times as TUF metadata writes them: `2027-01-31T12:00:00Z` (RFC 3339, in UTC, whole seconds).
public enum Timestamp {
    /// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SSZ`; nil for any other text, and for dates that do not exist.
    public static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count == 20, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] == UInt8(ascii: "T"), bytes[13] == UInt8(ascii: ":"), bytes[16] == UInt8(ascii: ":"),
            bytes[19] == UInt8(ascii: "Z")
        else { return nil }
        guard let year = number(bytes[0..<4]), let month = number(bytes[5..<7]), let day = number(bytes[8..<10]),
            let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]), let second = number(bytes[17..<19]),
            year >= 1970, (1...12).contains(month), (1...daysIn(month, year)).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        return days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
    }

    /// The text of seconds since 1970; nil before 1970 and after 9999.
    public static func format(_ seconds: Int64) -> String? {
        guard seconds >= 0, seconds <= 253_402_300_799 else { return nil }
        var remaining = seconds / 86_400
        // 400 years have 146097 days; from there on year and month are found by counting, at most 399 + 12 steps.
        var year = 1970 + remaining / 146_097 * 400
        remaining %= 146_097
        while remaining >= (isLeap(year) ? 366 : 365) {
            remaining -= isLeap(year) ? 366 : 365
            year += 1
        }
        var month: Int64 = 1
        while remaining >= daysIn(month, year) {
            remaining -= daysIn(month, year)
            month += 1
        }
        let second = seconds % 86_400
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(remaining + 1, 2))T"
            + "\(padded(second / 3_600, 2)):\(padded(second / 60 % 60, 2)):\(padded(second % 60, 2))Z"
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }

    private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func daysIn(_ month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 to a date.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let before = year - 1
        let leaps = before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400)
        let months = (1..<month).reduce(Int64(0)) { $0 + daysIn($1, year) }
        return (year - 1970) * 365 + leaps + months + day - 1
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}
