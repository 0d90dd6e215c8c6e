internal import Contract
internal import Glibc
internal import Linux
internal import Workloads

/// The program that ends a machine: `apus-agent machine-stop SOCKET MILLISECONDS`, which systemd runs before it sends
/// signals, as the machine's own user. It goes without the agent, so that machines end in good order whoever asks.
public enum MachineStopProgram {
    /// The agent's argument that makes it this program.
    public static let argument = SystemdUnit.machineStopArgument

    /// Presses the button, waits, and kills what has not ended; returns the exit status.
    public static func main(_ arguments: [String]) -> Int32 {
        guard arguments.count == 2, let grace = Int64(arguments[1]), grace >= 0 else { return 2 }
        let process = getenv("MAINPID").flatMap { Int32(String(cString: $0)) } ?? 0
        if ended(monitor: arguments[0], withinMilliseconds: grace) { return 0 }
        // Its main process, which is QEMU: of the same user, so that nothing else could be meant.
        if process > 1 { try? Processes.signal(process, SIGKILL) }
        return 1
    }

    /// Whether a machine shut down, and QEMU ended, within that time. A machine that cannot be asked has not.
    static func ended(monitor: String, withinMilliseconds: Int64) -> Bool {
        let deadline = Clock.monotonicMilliseconds() + withinMilliseconds
        do {
            let stream = try UnixStream(connectingTo: monitor)
            var farewell = MachineFarewell()
            var nextPress = Clock.monotonicMilliseconds() + MachineFarewell.againMilliseconds
            while true {
                let now = Clock.monotonicMilliseconds()
                guard now < deadline else { return false }
                if now >= nextPress {
                    nextPress = now + MachineFarewell.againMilliseconds
                    if let bytes = farewell.again() { try stream.write(bytes) }
                }
                let wait = max(1, min(deadline, nextPress) - now)
                guard let bytes = try stream.read(waitingMilliseconds: Int(wait)) else { continue }
                if bytes.isEmpty { return true }
                for case .send(let reply) in try farewell.take(bytes) { try stream.write(reply) }
            }
        } catch {
            return false
        }
    }
}
