public import Contract

extension ProvisioningPlan {
    /// The plan in an envelope signed with the CA's key.
    public func signed(with key: SigningKey) throws(ReleaseError) -> [UInt8] {
        do {
            let document = try JSONValue(parsing: try Wire.encode(self), limit: WireLimit.message)
            return try SignedEnvelope(signing: document, with: [key]).encoded
        } catch {
            throw ReleaseError("cannot sign a plan: \(error)")
        }
    }

    /// Verifies an envelope's signature and reads the plan in it.
    ///
    /// Whether the plan is for this node, and not a stale one, is for the caller to check.
    public static func verified(
        envelope bytes: [UInt8], keys: [ReleaseKey]
    ) throws(ReleaseError) -> ProvisioningPlan {
        let envelope = try SignedEnvelope(parsing: bytes, limit: WireLimit.message)
        try envelope.verify(keys: keys, threshold: 1)
        guard envelope.signed["_type"] == .string("apus-plan") else {
            throw ReleaseError("the signed document is not a plan")
        }
        do {
            return try Wire.decode(ProvisioningPlan.self, from: envelope.signed.encoded)
        } catch {
            throw ReleaseError("the plan cannot be read: \(error)")
        }
    }
}
