import Contract
import Store

/// The course of one registration. Each event returns what the caller has to do; nothing here acts.
struct RegistrationMachine: Equatable {
    /// How many wrong codes close a registration: at 40 bits a code, guessing is hopeless.
    static let wrongCodeLimit = 5

    private(set) var phase: RegistrationRecord.Phase
    private(set) var wrongCodes: Int

    /// What follows from the reveal of a nonce.
    enum RevealAction: Equatable {
        /// Carry out the judgement.
        case carryOut(Judgement)
        /// Already revealed: answer with where it stands.
        case report
        /// End it and say why.
        case refuse(Refusal)
    }

    /// What follows from a code that an operator typed.
    enum CodeAction: Equatable {
        /// The codes agree: the node is approved.
        case approve
        /// They differ; so many attempts are left.
        case reject(attemptsLeft: Int)
        /// They differed too often: the registration ends.
        case close
        /// Nobody waits for a code here.
        case nothingToApprove
    }

    /// What follows from the node's question where it stands.
    enum PollAction: Equatable {
        /// Issue its certificate, which admits it.
        case admit
        /// Answer with where it stands.
        case report
        /// It must reveal its nonce first.
        case demandReveal
    }

    init(phase: RegistrationRecord.Phase = .committed, wrongCodes: Int = 0) {
        self.phase = phase
        self.wrongCodes = wrongCodes
    }

    /// The node opened its commitment. A repeated reveal, after a lost reply, changes nothing.
    mutating func reveal(fitsCommitment: Bool, judgement: () -> Judgement) -> RevealAction {
        guard phase == .committed else { return fitsCommitment ? .report : .refuse(.commitmentMismatch) }
        guard fitsCommitment else {
            phase = .refused
            return .refuse(.commitmentMismatch)
        }
        let judged = judgement()
        switch judged {
        case .refuse: phase = .refused
        case .wait: phase = .waiting
        case .approve: phase = .approved
        }
        return .carryOut(judged)
    }

    /// An operator typed a code.
    mutating func code(matches: Bool) -> CodeAction {
        guard phase == .waiting else { return .nothingToApprove }
        guard !matches else {
            phase = .approved
            return .approve
        }
        wrongCodes += 1
        guard wrongCodes < Self.wrongCodeLimit else {
            phase = .refused
            return .close
        }
        return .reject(attemptsLeft: Self.wrongCodeLimit - wrongCodes)
    }

    /// The node asked where it stands.
    mutating func poll() -> PollAction {
        switch phase {
        case .committed: return .demandReveal
        case .approved:
            phase = .admitted
            return .admit
        case .waiting, .admitted, .refused: return .report
        }
    }
}

/// The challenge code of a registration, and what an operator types for it.
enum ChallengeCode {
    /// The bytes that are compared: capitals without separators, with the letters that people confuse made equal.
    static func normalized(_ text: String) -> [UInt8] {
        text.prefix(64).uppercased().utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "O"): UInt8(ascii: "0")
            case UInt8(ascii: "I"), UInt8(ascii: "L"): UInt8(ascii: "1")
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): byte
            default: nil
            }
        }
    }
}
