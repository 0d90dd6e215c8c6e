public import Contract

extension JSONValue: JSONReadable {
    /// Nothing: canonical JSON has whole numbers only.
    public static func fraction(_ text: String) -> JSONValue? { nil }

    /// Parses one JSON document strictly, as `JSONReadable` says, with whole numbers only.
    ///
    /// The error names the line and the column.
    public init(parsing bytes: [UInt8], limit: Int, maximumDepth: Int = 32) throws(ReleaseError) {
        do {
            try self.init(parsing: bytes, limits: JSONLimits(bytes: limit, depth: maximumDepth))
        } catch {
            throw ReleaseError(error.description)
        }
    }
}
