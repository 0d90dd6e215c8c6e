internal import Linux
internal import Workloads

/// The program that carries an operator's keys to a machine's serial console and what it shows back:
/// `apus-agent machine-console SOCKET LOCK`, as the machine's own user and within its limits. One operator at a time.
public enum MachineConsoleProgram {
    /// The agent's argument that makes it this program.
    public static let argument = "machine-console"

    /// Carries until the machine ends; returns the exit status.
    public static func main(_ arguments: [String]) -> Int32 {
        guard arguments.count == 2 else { return 2 }
        do {
            try carry(console: arguments[0], lock: arguments[1], from: 0, to: 1)
            return 0
        } catch {
            // Who started it is gone where this fails: ignoring.
            try? OwnedDescriptor(adopting: 2, path: "standard error").write(Array("\(error)\n".utf8))
            return 1
        }
    }

    static func carry(console: String, lock path: String, from input: Int32, to output: Int32) throws {
        let lock = try OwnedDescriptor(opening: path, [.read, .noFollow])
        guard try lock.lockExclusively() else {
            throw SandboxError("somebody else is attached to this machine's console")
        }
        try UnixStream(connectingTo: console).relay(from: input, to: output)
    }

    /// The command line, as the machine's user.
    static func words(agent: String, paths: MachinePaths, user: UInt32) -> [String] {
        SystemdUnit.drop(to: user, group: 0) + [agent, argument, paths.console, paths.consoleLock]
    }
}
