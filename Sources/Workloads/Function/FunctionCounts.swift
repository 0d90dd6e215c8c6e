/// What a function did since the agent started; times are in milliseconds.
public struct FunctionCounts: Sendable, Codable, Hashable {
    /// Calls that were taken.
    public var calls = 0
    /// Calls that ended with an error of any kind.
    public var errors = 0
    /// Of those: that were ended because their time was up.
    public var timeouts = 0
    /// Calls that were refused because all instances were busy and the queue was full.
    public var throttles = 0
    /// Calls that waited for a new instance.
    public var coldStarts = 0
    /// The sum of the calls' times.
    public var durationMilliseconds: Int64 = 0
    /// The longest call.
    public var longestMilliseconds: Int64 = 0
    /// Instances that are there.
    public var instances = 0
    /// Calls that wait for an instance.
    public var queued = 0

    /// None yet.
    public init() {}

    /// Counts a call that ended.
    public mutating func count(_ outcome: FunctionOutcome, durationMilliseconds duration: Int64, isCold: Bool) {
        calls += 1
        if outcome != .succeeded { errors += 1 }
        if case .ended("Sandbox.Timedout", _) = outcome { timeouts += 1 }
        if isCold { coldStarts += 1 }
        durationMilliseconds += max(0, duration)
        longestMilliseconds = max(longestMilliseconds, duration)
    }
}

/// What a runtime client says of an error (Lambda developer guide, "Invocation error").
public enum FunctionError {
    /// The type: that of the header, or where it says nothing of use that of the body.
    public static func type(header: String, body: [UInt8]) -> String {
        guard header.isEmpty || header == "Unhandled" else { return header }
        struct Body: Decodable { var errorType: String }
        guard let said = try? ForeignJSON.decode(Body.self, body[...]).errorType else { return header }
        let type = said.unicodeScalars.prefix(256).filter { $0.value > 0x20 && $0.value < 0x7F }
        return type.isEmpty ? header : String(String.UnicodeScalarView(type))
    }
}

/// A line of a function's log that the platform writes, as Lambda has them.
public enum FunctionLogLine {
    /// A call begins.
    public static func start(_ id: String) -> String { "START RequestId: \(id) Version: $LATEST" }

    /// A call's end.
    public static func end(_ id: String) -> String { "END RequestId: \(id)" }

    /// What a call took, in milliseconds.
    public static func report(
        _ id: String, duration: Int64, memoryBytes: UInt64, initialisation: Int64?, outcome: FunctionOutcome
    ) -> String {
        var line = "REPORT RequestId: \(id)\tDuration: \(duration) ms\tMemory Size: \(memoryBytes >> 20) MB"
        if let initialisation { line += "\tInit Duration: \(initialisation) ms" }
        switch outcome {
        case .succeeded: break
        case .failed(let type): line += "\tStatus: error\tError Type: \(type)"
        case .ended("Sandbox.Timedout", _): line += "\tStatus: timeout"
        case .ended(let type, _): line += "\tStatus: error\tError Type: \(type)"
        }
        return line
    }
}
