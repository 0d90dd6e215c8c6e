import Linux
import Testing

/// Programs that are fed and read piece by piece.
struct PipedProcessTests {
    /// Everything that it writes, and how it ends.
    static func rest(of process: PipedProcess) throws -> (output: String, error: String, ending: Processes.Ending) {
        var output: [UInt8] = []
        var error: [UInt8] = []
        while true {
            switch try process.read(waitingMilliseconds: 1000) {
            case .output(let bytes): output += bytes
            case .error(let bytes): error += bytes
            case .nothing: continue
            case .ended(let ending):
                return (String(decoding: output, as: UTF8.self), String(decoding: error, as: UTF8.self), ending)
            }
        }
    }

    @Test func whatIsFedComesBackWithBothOutputsAndTheStatus() throws {
        let process = try PipedProcess("/bin/sh", ["-c", "cat; echo oops >&2; exit 3"])
        #expect(process.write(Array("hello ".utf8)) && process.write(Array("world".utf8)))
        process.closeInput()
        let found = try Self.rest(of: process)
        #expect(found.output == "hello world" && found.error == "oops\n" && found.ending == .exited(3))
        #expect(!process.write([1]))
    }

    @Test func muchOutputIsReadToItsEnd() throws {
        let process = try PipedProcess("/bin/sh", ["-c", "head -c 3000000 /dev/zero"])
        process.closeInput()
        let found = try Self.rest(of: process)
        #expect(found.output.utf8.count == 3_000_000 && found.ending == .exited(0))
    }

    /// The signal that a closed pipe raises ends no program here.
    @Test func feedingOneThatEndedIsNoHarm() throws {
        let process = try PipedProcess("/bin/sh", ["-c", "exec <&-; echo closed; sleep 600"])
        #expect(try process.read(waitingMilliseconds: 60_000) == .output(Array("closed\n".utf8)))
        #expect(!process.write([UInt8](repeating: 0, count: 1 << 20)))
        process.kill()
        #expect(try Self.rest(of: process).ending == .signalled(9))
    }

    /// A descendant that keeps the output open is not waited for.
    @Test func theProgramsEndIsTheEnd() throws {
        let process = try PipedProcess("/bin/sh", ["-c", "sleep 5 & echo started"])
        let found = try Self.rest(of: process)
        #expect(found.output == "started\n" && found.ending == .exited(0))
    }
}
