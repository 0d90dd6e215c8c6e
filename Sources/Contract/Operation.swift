/// `POST /v1/nodes/{id}/maintenance`: takes a node out of service, or back into it.
public struct MaintenanceRequest: Sendable, Codable, Equatable {
    /// Whether it is to be out of service.
    public var enabled: Bool
    /// Why, for other operators.
    public var reason: String?

    /// Makes a request.
    public init(enabled: Bool, reason: String? = nil) {
        self.enabled = enabled
        self.reason = reason
    }
}

/// The keys whose signature makes a release publishable: `GET /v1/release-keys`; `POST` there takes one `ReleaseKey`.
public struct ReleaseKeyList: Sendable, Codable, Equatable {
    /// The keys.
    public var keys: [ReleaseKey]
    /// How many of them must have signed.
    public var threshold: Int

    /// Makes a list.
    public init(keys: [ReleaseKey], threshold: Int) {
        self.keys = keys
        self.threshold = threshold
    }
}

/// The answer of routes that have nothing else to say.
public struct Acknowledgement: Sendable, Codable, Equatable {
    /// What was done, as a sentence.
    public var message: String

    /// Makes an answer.
    public init(message: String) { self.message = message }
}
