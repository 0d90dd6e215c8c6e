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
        var broken: [String] = []
        let storage = machine.storage
        guard (try? storage.findInstalled()) != nil else {
            return machine.site.bootsFromNetwork ? [] : ["nothing is installed and nothing can be"]
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
        if startable.isEmpty, storage.program(at: .recovery) == nil, !machine.site.bootsFromNetwork {
            broken.append("neither a slot nor recovery can be started")
        }
        guard let record = storage.load().record else {
            if startable.isEmpty, !machine.site.bootsFromNetwork { broken.append("there is no record and no slot") }
            return broken
        }
        if let committed = record.committed {
            let isThere = startable.contains(committed)
            let isRight: Bool =
                if case .slot(let image)? = storage.program(at: .slot(committed)) {
                    image.rootHash == record.committedRelease?.rootHash
                } else {
                    false
                }
            if !isThere || !isRight {
                broken.append(notWhatWasCommitted(committed))
            }
        }
        if let trial = record.trial, !startable.contains(trial.slot) {
            broken.append("the slot on trial cannot be started")
        }
        return broken
    }
}
