import Contract
import Decisions
import Sequences

/// What must hold on the disk and in the firmware after every boot and after every power cut.
enum Invariants {
    static func notWhatWasCommitted(_ slot: SlotName) -> String {
        "the committed slot \(slot.letter) is not what was committed"
    }

    /// The rules that a machine breaks, as sentences.
    static func broken(_ machine: SimulatedMachine) -> [String] {
        let storage = machine.storage
        let hasNetwork = machine.site.bootsFromNetwork
        guard (try? storage.findInstalled()) != nil else {
            return hasNetwork ? [] : ["nothing is installed and nothing can be"]
        }
        var broken = machine.firstChoice() == nil ? ["the firmware finds nothing to start"] : []
        for target in StartTarget.allCases where storage.isBootable(target) && !storage.isGenuine(target) {
            broken.append("\(target) is bootable and holds no release's file")
        }
        var startable: [SlotName] = []
        for slot in SlotName.allCases {
            guard case .slot(let image)? = storage.program(at: .slot(slot)) else { continue }
            if storage.isIntact(slot, image) {
                startable.append(slot)
            } else {
                broken.append("slot \(slot.letter) is bootable and is not intact")
            }
        }
        if startable.isEmpty, storage.program(at: .recovery) == nil, !hasNetwork {
            broken.append("neither a slot nor recovery can be started")
        }
        guard let record = storage.load().record else {
            if startable.isEmpty, !hasNetwork { broken.append("there is no record and no slot") }
            return broken
        }
        return broken + disagreements(record, startable, storage)
    }

    /// Where the slots are not what the record says of them.
    private static func disagreements(
        _ record: BootRecord, _ startable: [SlotName], _ storage: any SimulatedStorage
    ) -> [String] {
        var broken: [String] = []
        if let committed = record.committed {
            let isRight: Bool =
                if startable.contains(committed), case .slot(let image)? = storage.program(at: .slot(committed)) {
                    image.rootHash == record.committedRelease?.rootHash
                } else {
                    false
                }
            if !isRight { broken.append(notWhatWasCommitted(committed)) }
        }
        if let trial = record.trial, !startable.contains(trial.slot) {
            broken.append("the slot on trial cannot be started")
        }
        return broken
    }

    /// What a slot's start breaks, given the record as it was durable when the boot began and as it is durable now:
    /// each start was counted before it happens, so that attempts strictly decrease whatever comes next.
    static func broken(by start: SlotStart, before: BootRecord?, now: BootRecord?) -> [String] {
        guard let now else { return ["slot \(start.slot.letter) starts and there is no record of it"] }
        if let trial = start.trial {
            guard now.trial == trial, !trial.isWaitingToStart else {
                return ["slot \(start.slot.letter) starts on trial and the record does not know the attempt"]
            }
            guard let old = before?.trial, old.slot == trial.slot else { return [] }
            return trial.attemptsLeft < old.attemptsLeft
                ? [] : ["a trial had \(old.attemptsLeft) attempts left and now has \(trial.attemptsLeft)"]
        }
        // A slot that is started because nothing else is left is not the committed one.
        guard now.committed == start.slot else { return [] }
        let isSame = before?.committed == start.slot && before?[start.slot] == now[start.slot]
        let counted = isSame ? before?.failedBoots(of: start.slot) ?? 0 : 0
        return now.failedBoots(of: start.slot) > counted
            ? [] : ["slot \(start.slot.letter) starts and its boot was not counted"]
    }
}
