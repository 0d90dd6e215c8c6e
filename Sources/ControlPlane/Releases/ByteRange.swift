/// What a `Range` header asks of a file (RFC 9110, section 14).
enum ByteRange: Equatable {
    /// All of it.
    case whole
    /// These bytes.
    case part(ClosedRange<Int64>)
    /// Nothing that the file has, or more ranges than one.
    case unsatisfiable

    /// Reads a header for a file of `size` bytes. A unit or a form that is not known is ignored, as the RFC says.
    static func parse(_ header: String?, size: Int64) -> ByteRange {
        guard let header, header.utf8.count <= 256, header.lowercased().hasPrefix("bytes=") else { return .whole }
        let specifications = header.dropFirst(6).split(separator: ",", omittingEmptySubsequences: false)
        guard specifications.count == 1 else { return .unsatisfiable }
        let bounds = specifications[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            .map { $0.trimmingSpaces }
        guard bounds.count == 2 else { return .whole }
        switch (bounds[0].isEmpty, bounds[1].isEmpty) {
        case (true, true): return .whole
        case (true, false):
            guard let count = number(bounds[1]) else { return .whole }
            guard count > 0, size > 0 else { return .unsatisfiable }
            return .part(max(0, size - count)...size - 1)
        case (false, let isOpen):
            guard let first = number(bounds[0]), let last = isOpen ? Int64.max : number(bounds[1]), first <= last else {
                return .whole
            }
            guard first < size else { return .unsatisfiable }
            return .part(first...min(last, size - 1))
        }
    }

    private static func number(_ text: Substring) -> Int64? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !text.isEmpty else { return nil }
        return Int64(text) ?? Int64.max
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
