public import Contract

extension DocumentValue: JSONReadable {
    /// A number with a fraction keeps its text.
    public static func fraction(_ text: String) -> DocumentValue? { .decimal(text) }

    /// Parses one JSON document strictly, as `JSONReadable` says; the error names the line and the column.
    public init(
        parsing bytes: [UInt8], limit: Int = WorkloadLimit.documentBytes, maximumDepth: Int = 16,
        maximumValues: Int = 20_000
    ) throws(WireError) {
        try self.init(
            parsing: bytes, limits: JSONLimits(bytes: limit, depth: maximumDepth, values: maximumValues))
    }
}
