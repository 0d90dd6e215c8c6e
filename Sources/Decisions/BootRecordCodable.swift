import Contract

extension BootRecord: Codable {
    enum Key: String, CodingKey, CaseIterable {
        case format, a, b, committed, previous, trial, bootsWithoutHealth, request, lastFailure, quarantine
        case isProvisioning, hasState, reprovisionRequested, epochFloor, planGeneration, site, recovery
    }

    /// Reads the format before and after this program's own; anything that breaks an invariant is refused.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        format = try container.decode(Int.self, forKey: .format)
        guard (wireFormat - 1...wireFormat + 1).contains(format) else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: container,
                debugDescription: "format \(format) is not one of \(wireFormat - 1) to \(wireFormat + 1)")
        }
        a = try container.decodeIfPresent(SlotContents.self, forKey: .a) ?? .empty
        b = try container.decodeIfPresent(SlotContents.self, forKey: .b) ?? .empty
        committed = try container.decodeIfPresent(SlotName.self, forKey: .committed)
        previous = try container.decodeIfPresent(SlotName.self, forKey: .previous)
        trial = try container.decodeIfPresent(Trial.self, forKey: .trial)
        bootsWithoutHealth =
            try container.decodeIfPresent([SlotName: Int].self, forKey: .bootsWithoutHealth) ?? [:]
        request = try container.decodeIfPresent(StartRequest.self, forKey: .request)
        lastFailure = try container.decodeIfPresent(Failure.self, forKey: .lastFailure)
        quarantine = try container.decodeIfPresent([QuarantinedRelease].self, forKey: .quarantine) ?? []
        isProvisioning = try container.decodeIfPresent(Bool.self, forKey: .isProvisioning) ?? false
        hasState = try container.decodeIfPresent(Bool.self, forKey: .hasState) ?? false
        reprovisionRequested = try container.decodeIfPresent(Bool.self, forKey: .reprovisionRequested) ?? false
        epochFloor = try container.decodeIfPresent(Int.self, forKey: .epochFloor) ?? 0
        planGeneration = try container.decodeIfPresent(Int.self, forKey: .planGeneration) ?? 0
        site = try container.decodeIfPresent(Digest256.self, forKey: .site)
        recovery = try container.decodeIfPresent(RecoveryArtifact.self, forKey: .recovery)
        preserved = try PreservedFields(from: decoder, besides: Key.self)
        if let broken = brokenInvariant {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: broken))
        }
    }

    /// Writes the JSON form.
    public func encode(to encoder: any Encoder) throws {
        try preserved.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(format, forKey: .format)
        try container.encode(a, forKey: .a)
        try container.encode(b, forKey: .b)
        try container.encodeIfPresent(committed, forKey: .committed)
        try container.encodeIfPresent(previous, forKey: .previous)
        try container.encodeIfPresent(trial, forKey: .trial)
        try container.encode(bootsWithoutHealth, forKey: .bootsWithoutHealth)
        try container.encodeIfPresent(request, forKey: .request)
        try container.encodeIfPresent(lastFailure, forKey: .lastFailure)
        try container.encode(quarantine, forKey: .quarantine)
        try container.encode(isProvisioning, forKey: .isProvisioning)
        try container.encode(hasState, forKey: .hasState)
        try container.encode(reprovisionRequested, forKey: .reprovisionRequested)
        try container.encode(epochFloor, forKey: .epochFloor)
        try container.encode(planGeneration, forKey: .planGeneration)
        try container.encodeIfPresent(site, forKey: .site)
        try container.encodeIfPresent(recovery, forKey: .recovery)
    }

    /// The first rule that the record breaks, as a sentence, or nil for a sound one.
    public var brokenInvariant: String? {
        if let committed, self[committed].installed == nil { return "the committed slot is not verified" }
        if let previous, previous == committed || committed == nil || self[previous].installed == nil {
            return "the previous slot is not another verified slot"
        }
        if isProvisioning, committed != nil || trial != nil { return "a slot is in use while provisioning" }
        if let trial {
            if committed == nil || trial.slot == committed || self[trial.slot].installed == nil {
                return "the slot on trial is not another verified slot"
            }
            if !(0...trial.attempts).contains(trial.attemptsLeft) || !(1...Self.attemptsLimit).contains(trial.attempts)
            {
                return "the trial's attempts are out of bounds"
            }
            if trial.isWaitingToStart, trial.attemptsLeft == 0 { return "a trial without attempts waits to start" }
            if !(0...Self.secondsLimit).contains(trial.holdSeconds)
                || !(1...Self.secondsLimit).contains(trial.deadlineSeconds)
            {
                return "the trial's times are out of bounds"
            }
        }
        if !bootsWithoutHealth.values.allSatisfy((0...Self.failedBootLimit).contains) {
            return "a count of boots is out of bounds"
        }
        if let request, request.firmware < 0 || request.kexec < 0 { return "a count of requests is out of bounds" }
        if quarantine.count > Self.quarantineLimit { return "too many versions are quarantined" }
        if epochFloor < 0 || planGeneration < 0 { return "a number is negative" }
        return nil
    }
}
