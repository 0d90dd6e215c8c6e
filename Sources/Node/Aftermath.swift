internal import Sequences

/// What follows a boot that could not do its work.
public enum Aftermath {
    /// How long the message stays on the console before the machine restarts, in seconds.
    ///
    /// Long where only a person can help and a restart in a row would load network and server for nothing; short where
    /// the next start may well go better, or where the boot record counts the attempts.
    public static func waitSeconds(after error: any Error) -> Int64 {
        (error as? StepError).map { waitSeconds(afterStep: $0.step) } ?? 60
    }

    static func waitSeconds(afterStep name: String) -> Int64 {
        switch name {
        // Nobody admits a machine that was turned away while it keeps asking.
        case "register", "wait-for-admission": return 3600
        // The plan, the release or the machine has to be changed.
        case "receive-plan", "verify-release", "choose-disk", "plan-partitions": return 600
        // A slot's start: the record has counted it.
        case "decide", "carry-out": return 10
        default: return 60
        }
    }
}
