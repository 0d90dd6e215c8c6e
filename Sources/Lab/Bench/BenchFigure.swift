/// One figure of the benchmark: what was measured, against what, and what it may be.
public struct BenchFigure: Sendable, Equatable {
    /// What the numbers are.
    public enum Unit: Sendable, Equatable {
        /// Millions of bytes.
        case megabytes
        /// Thousandths of a second.
        case milliseconds
        /// Things.
        case count
    }

    /// What a figure must not exceed.
    public struct Limit: Sendable, Equatable {
        /// What it must keep.
        public var bar: Double
        /// What it should reach; nil where the bar says all.
        public var aim: Double?
        /// Whether they are about the ratio, or else about what was measured.
        public var isOfRatio: Bool

        /// A limit of a size.
        public static func size(_ bar: Double, aim: Double? = nil) -> Limit {
            Limit(bar: bar, aim: aim, isOfRatio: false)
        }

        /// A limit of a ratio.
        public static func ratio(_ bar: Double, aim: Double? = nil) -> Limit {
            Limit(bar: bar, aim: aim, isOfRatio: true)
        }
    }

    /// What it comes to.
    public enum Verdict: String, Sendable {
        /// It reaches the aim, or keeps the bar where there is no aim.
        case good = "ok"
        /// It keeps the bar and does not reach the aim.
        case fair = "ok, above the aim"
        /// It exceeds the bar.
        case missed = "BAR MISSED"
        /// There is nothing that it has to keep.
        case none = ""
        /// The release that runs does not have what it takes.
        case absent = "not in this release"
        /// It could not be measured, though it must be.
        case unknown = "NOT MEASURED"
    }

    /// What it is, as tables show it.
    public var name: String
    /// What the numbers are.
    public var unit: Unit
    /// What was measured; nil where it could not be.
    public var measured: Double?
    /// What it is compared with, by name; empty for nothing.
    public var referenceName = ""
    /// What that was measured as in the same run.
    public var reference: Double?
    /// What it must keep.
    public var limit: Limit?
    /// Whether a release may lack it.
    public var isOptional = false
    /// How it was measured, or why not.
    public var remark = ""

    /// Describes a figure.
    public init(_ name: String, _ unit: Unit, _ measured: Double?) {
        self.name = name
        self.unit = unit
        self.measured = measured
    }

    /// The figure compared with another one of the same run.
    func against(_ name: String, _ reference: Double?, _ limit: Limit? = nil) -> BenchFigure {
        var figure = self
        figure.referenceName = name
        figure.reference = reference
        figure.limit = limit
        return figure
    }

    /// The figure with what it must keep.
    func within(_ limit: Limit) -> BenchFigure {
        var figure = self
        figure.limit = limit
        return figure
    }

    /// The figure with words beside it.
    func noting(_ remark: String) -> BenchFigure {
        var figure = self
        figure.remark = remark
        return figure
    }

    /// How many times the reference it is; nil without one.
    public var ratio: Double? {
        guard let measured, let reference, reference > 0 else { return nil }
        return measured / reference
    }

    /// What it comes to.
    public var verdict: Verdict {
        guard let measured, referenceName.isEmpty || ratio != nil else { return isOptional ? .absent : .unknown }
        guard let limit else { return .none }
        guard let judged = limit.isOfRatio ? ratio : measured else { return .unknown }
        if judged > limit.bar { return .missed }
        return judged > limit.aim ?? limit.bar ? .fair : .good
    }
}

/// The figures as a table for people.
public enum BenchTable {
    private static let titles = ["FIGURE", "MEASURED", "REFERENCE", "RATIO", "BAR", "AIM", "VERDICT"]

    /// The table's lines, with the remarks below it.
    public static func lines(_ figures: [BenchFigure]) -> [String] {
        let rows = [titles] + figures.map(row)
        let widths = titles.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { row in
            let cells = row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                // Names and verdicts are read from their beginning, numbers from their end.
                return [0, 2, 6].contains(column) ? text + space : space + text
            }
            return trimmed(cells.joined(separator: "  "))
        }
        lines += figures.filter { !$0.remark.isEmpty }.map { "\($0.name): \($0.remark)" }
        return lines
    }

    private static func row(_ figure: BenchFigure) -> [String] {
        let limit = figure.limit
        func bound(_ value: Double?) -> String {
            guard let value, let limit else { return "" }
            return limit.isOfRatio ? decimal(value, 2) : text(value, figure.unit)
        }
        let reference = figure.reference.map { " (\(text($0, figure.unit)))" } ?? ""
        return [
            figure.name, figure.measured.map { text($0, figure.unit) } ?? "-",
            figure.referenceName.isEmpty ? "" : figure.referenceName + reference,
            figure.ratio.map { decimal($0, 2) } ?? "", bound(limit?.bar), bound(limit?.aim), figure.verdict.rawValue,
        ]
    }

    static func text(_ value: Double, _ unit: BenchFigure.Unit) -> String {
        switch unit {
        case .megabytes: decimal(value, 1) + " MB"
        case .milliseconds: decimal(value, 1) + " ms"
        case .count: decimal(value, 0)
        }
    }

    /// A number with so many digits after the point, at most 6.
    static func decimal(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "?" }
        let scale = (0..<min(max(digits, 0), 6)).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard scale > 1 else { return "\(sign)\(scaled)" }
        let rest = "\(scaled % scale + scale)".dropFirst()
        return "\(sign)\(scaled / scale).\(rest)"
    }

    private static func trimmed(_ text: String) -> String {
        String(text.reversed().drop { $0 == " " }.reversed())
    }
}
