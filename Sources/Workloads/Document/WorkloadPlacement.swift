/// Where a workload runs: on nodes that match everything given; nowhere special runs everywhere.
public struct WorkloadPlacement: Sendable, Hashable {
    /// `nodes`: names or ids of nodes; empty for any.
    public var nodes: [String] = []
    /// `constraints`: what a node's labels must be.
    public var constraints: [Constraint] = []

    /// A condition on one label, written `node.labels.KEY==VALUE` or `node.labels.KEY!=VALUE`.
    public struct Constraint: Sendable, Hashable {
        /// The label's key.
        public var key: String
        /// Its value.
        public var value: String
        /// Whether the label must have that value, or must not.
        public var isEqual: Bool

        /// Makes a condition.
        public init(key: String, value: String, isEqual: Bool = true) {
            self.key = key
            self.value = value
            self.isEqual = isEqual
        }

        init?(_ text: String) {
            for (sign, isEqual) in [("==", true), ("!=", false)] {
                guard let range = text.firstRange(of: sign) else { continue }
                let left = text[..<range.lowerBound].trimmingSpaces
                let right = text[range.upperBound...].trimmingSpaces
                guard left.hasPrefix("node.labels."), WorkloadLabels.isKey(String(left.dropFirst(12))),
                    WorkloadLabels.isValue(right)
                else { return nil }
                self.init(key: String(left.dropFirst(12)), value: right, isEqual: isEqual)
                return
            }
            return nil
        }

        var text: String { "node.labels.\(key)\(isEqual ? "==" : "!=")\(value)" }
    }

    /// Everywhere.
    public init() {}

    init(_ item: DocumentItem) {
        self.init()
        guard var reader = DocumentReader(item) else { return }
        nodes =
            reader.take("nodes")?.list(limit: 1024)?.compactMap { item in
                item.parsed("a node's name or id") { WorkloadLabels.isValue($0) && !$0.isEmpty ? $0 : nil }
            } ?? []
        constraints =
            reader.take("constraints")?.list(limit: 32)?.compactMap { item in
                item.parsed("node.labels.KEY==VALUE or node.labels.KEY!=VALUE", Constraint.init)
            } ?? []
        reader.finish(hints: ["preferences": "every matching node runs the workload"])
    }

    /// Whether a node runs the workload.
    public func matches(nodeNames: Set<String>, labels: [String: String]) -> Bool {
        (nodes.isEmpty || nodes.contains(where: nodeNames.contains))
            && constraints.allSatisfy { (labels[$0.key] == $0.value) == $0.isEqual }
    }

    var value: DocumentValue {
        .object([
            "nodes": .array(nodes.map { .string($0) }),
            "constraints": .array(constraints.map { .string($0.text) }),
        ])
    }
}

/// Labels: keys and values that programs and people attach to things.
enum WorkloadLabels {
    static func isKey(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || [0x2D, 0x2E, 0x2F, 0x5F].contains($0)
            }
    }

    static func isValue(_ text: String) -> Bool {
        text.utf8.count <= 256 && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
    }

    static func read(_ item: DocumentItem?) -> [String: String] {
        var labels: [String: String] = [:]
        for (key, item) in item?.members(limit: 64) ?? [] {
            guard isKey(key) else {
                item.fail("allowed are keys of at most 128 letters, digits, '-', '_', '.' and '/'")
                continue
            }
            labels[key] = item.parsed("a text of at most 256 bytes without control characters", limit: 256) {
                isValue($0) ? $0 : nil
            }
        }
        return labels
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var part = self
        while part.first == " " { part.removeFirst() }
        while part.last == " " { part.removeLast() }
        return String(part)
    }
}
