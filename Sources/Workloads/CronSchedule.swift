/// A cron expression: five fields for minute, hour, day of the month, month and day of the week, in UTC
/// (crontab(5)); or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; or `rate(N minutes)`.
///
/// As in `crontab(5)`, where both days are restricted either of them suffices.
public struct CronSchedule: Sendable, Hashable {
    /// Bits of the minutes, hours, days, months and weekdays that match; Sunday is bit 0.
    private var fields: [UInt64]
    private var isDayOpen: Bool
    private var isWeekdayOpen: Bool
    /// For `rate`: every that many minutes since 1970.
    private var everyMinutes: Int64?

    /// Why an expression is refused.
    public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        /// A sentence that names the field.
        public var description: String
    }

    private static let names: [(name: String, range: ClosedRange<Int>, words: [String])] = [
        ("minute", 0...59, []), ("hour", 0...23, []), ("day of the month", 1...31, []),
        ("month", 1...12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
        ("day of the week", 0...7, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
    ]

    /// Reads an expression.
    public init(_ text: String) throws(Refusal) {
        let shortcuts = [
            "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
            "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
        ]
        if let minutes = try Self.rate(text) {
            everyMinutes = minutes
            fields = []
            isDayOpen = true
            isWeekdayOpen = true
            return
        }
        let parts = (shortcuts[text] ?? text).split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard parts.count == 5 else {
            throw Refusal(
                description:
                    "'\(text.prefix(60))' has \(parts.count) fields; allowed are five, a word such as @daily, or rate(5 minutes)"
            )
        }
        fields = []
        for (part, field) in zip(parts, Self.names) { fields.append(try Self.bits(part, field)) }
        // 7 is Sunday as well.
        if fields[4] & 1 << 7 != 0 { fields[4] = (fields[4] | 1) & 0x7F }
        isDayOpen = parts[2].hasPrefix("*")
        isWeekdayOpen = parts[4].hasPrefix("*")
        guard next(after: 0) != nil else {
            throw Refusal(description: "'\(text.prefix(60))' names a day that never comes")
        }
    }

    private static func rate(_ text: String) throws(Refusal) -> Int64? {
        guard text.hasPrefix("rate("), text.hasSuffix(")") else { return nil }
        let words = text.dropFirst(5).dropLast().split(separator: " ")
        let units: [Substring: Int64] = [
            "minute": 1, "minutes": 1, "hour": 60, "hours": 60, "day": 1440, "days": 1440,
        ]
        guard words.count == 2, let number = Int64(words[0]), (1...10_000).contains(number), let unit = units[words[1]]
        else {
            throw Refusal(
                description: "'\(text.prefix(60))': allowed is rate(N minutes), rate(N hours) or rate(N days)")
        }
        return number * unit
    }

    private static func bits(
        _ text: Substring, _ field: (name: String, range: ClosedRange<Int>, words: [String])
    ) throws(Refusal) -> UInt64 {
        func number(_ text: Substring) -> Int? {
            if let word = field.words.firstIndex(of: text.lowercased()) { return word + field.range.lowerBound }
            guard (1...2).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return nil
            }
            return Int(text).flatMap { field.range.contains($0) ? $0 : nil }
        }
        var bits: UInt64 = 0
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var range: ClosedRange<Int>?
            if parts.first == "*" {
                range = field.range
            } else if let ends = parts.first?.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false),
                let lower = ends.first.flatMap(number), let upper = ends.last.flatMap(number), lower <= upper
            {
                range = ends.count == 1 && parts.count == 2 ? lower...field.range.upperBound : lower...upper
            }
            let step = parts.count == 2 ? Int(parts[1]) : 1
            guard let range, let step, (1...60).contains(step) else {
                throw Refusal(
                    description: "the \(field.name) '\(text.prefix(60))': allowed are *, numbers from "
                        + "\(field.range.lowerBound) to \(field.range.upperBound), ranges, lists and steps such as */5")
            }
            for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
                bits |= 1 << UInt64(value)
            }
        }
        return bits
    }

    /// The first matching minute after a time, both in seconds since 1970; nil where none comes within eight years,
    /// the longest that 29 February can be away.
    public func next(after seconds: Int64) -> Int64? {
        var minute = CivilTime.floored(seconds, 60) + 1
        if let everyMinutes { return (CivilTime.floored(minute - 1, everyMinutes) + 1) * everyMinutes * 60 }
        var day = CivilTime.floored(minute, 1440)
        for _ in 0...(8 * 366 + 1) {
            if matches(day: day) {
                for candidate in minute..<(day + 1) * 1440 where matches(minuteOfDay: candidate - day * 1440) {
                    return candidate * 60
                }
            }
            day += 1
            minute = day * 1440
        }
        return nil
    }

    private func matches(minuteOfDay minute: Int64) -> Bool {
        fields[0] & 1 << UInt64(minute % 60) != 0 && fields[1] & 1 << UInt64(minute / 60) != 0
    }

    private func matches(day: Int64) -> Bool {
        let date = CivilTime.date(ofDay: day)
        guard fields[3] & 1 << UInt64(date.month) != 0 else { return false }
        let isDay = fields[2] & 1 << UInt64(date.day) != 0
        // 1 January 1970 was a Thursday.
        let isWeekday = fields[4] & 1 << UInt64((day % 7 + 11) % 7) != 0
        return isDayOpen || isWeekdayOpen ? isDay && isWeekday : isDay || isWeekday
    }
}
