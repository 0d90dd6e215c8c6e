public import Contract
internal import Decisions
public import Sequences

/// Puts the real effects of early boot together.
public enum EarlyBootMachine {
    /// The effects of this boot, over what it learns.
    public static func effects(_ context: EarlyContext) -> EarlyBootEffects {
        let use = DiskInUse()
        let log = context.log
        let releases = NodeReleases(
            access: { try context.access() }, trust: { try context.trust() }, note: { log.log($0) })
        let slots = NodeSlots(
            use, releases: releases, recoveryFiles: { recoveryFiles(context) },
            // A stalled download is resumed, or given up, by itself within minutes.
            alive: { context.keeper?.alive(forSeconds: 600) })
        return EarlyBootEffects(
            machine: NodeMachine(context, use), disk: NodeDisks(use, bootPartition: { context.bootPartition }),
            record: NodeBootRecord(use), firmware: NodeFirmware(), slots: slots, state: NodeState(context, use),
            network: NodeNetwork(context, use), registration: NodeRegistration(context), releases: releases,
            power: NodePower(context, use), report: EarlyReport(context), clock: context.clock)
    }

    /// What the server should hear of this start once the agent reaches it.
    public static func events(of early: EarlyBoot) -> [NodeEvent] {
        guard let plan = early.plan else { return [] }
        let trouble = plan.firmwareTrouble.map { NodeEvent(kind: "firmware", message: $0) }
        return [NodeEvent(kind: "boot", message: plan.reason)] + (trouble.map { [$0] } ?? [])
    }

    private static func recoveryFiles(_ context: EarlyContext) -> [(path: String, bytes: [UInt8])] {
        guard let trust = context.recoveryTrust(), let bytes = try? Wire.encode(trust) else { return [] }
        return [(BootMedium.fileName, bytes)]
    }
}
