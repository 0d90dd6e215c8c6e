import Glibc
import Linux
import Testing

@Test func outputStatusAndInputArePassed() throws {
    let outcome = try Processes.run(
        "/bin/sh", ["-c", "cat; echo oops >&2; echo $NAME; exit 3"], environment: ["NAME=x"], input: Array("in\n".utf8),
        timeoutSeconds: 30)
    #expect(outcome.ending == .exited(3))
    #expect(String(decoding: outcome.output, as: UTF8.self) == "in\nx\n")
    #expect(outcome.summary == "ended with status 3: oops")
    #expect(!outcome.succeeded)
}

@Test func aSignalIsNamed() throws {
    #expect(try Processes.run("/bin/sh", ["-c", "kill -9 $$"], timeoutSeconds: 30).ending == .signalled(9))
}

@Test func aMissingProgramIsAnErrorWithItsPath() {
    let error = #expect(throws: SystemError.self) { try Processes.run("/bin/not-there", [], timeoutSeconds: 1) }
    #expect(error?.description == "cannot run '/bin/not-there': No such file or directory")
}

@Test func outputIsBoundedAndDoesNotBlock() throws {
    let outcome = try Processes.run(
        "/bin/sh", ["-c", "head -c 3000000 /dev/zero; echo end >&2"], outputLimitBytes: 1000, timeoutSeconds: 60)
    #expect(outcome.succeeded)
    #expect(outcome.output.count == 1000)
    #expect(outcome.errorOutput == Array("end\n".utf8))
}

@Test func aProgramThatDoesNotEndIsKilledWithItsChildren() throws {
    let scratch = try Scratch()
    // The grandchild writes its id before it sleeps.
    let script = "sh -c 'echo $$ > \(scratch.path)/id; exec sleep 1000' & wait"
    let outcome = try Processes.run("/bin/sh", ["-c", script], timeoutSeconds: 1)
    #expect(outcome.ending == .timedOut)
    let id = try #require(Int32(try Files.readText(scratch.path + "/id")))
    // Killed means gone, or a zombie that init has not taken in yet.
    let state = (try? Files.readText("/proc/\(id)/stat"))?.split(separator: ")").last?.split(separator: " ").first
    #expect(state == nil || state == "Z" || state == "X")
}

@Test func aDaemonThatKeepsTheOutputOpenIsNotAwaited() throws {
    let outcome = try Processes.run("/bin/sh", ["-c", "sleep 5 & echo started"], timeoutSeconds: 60)
    #expect(outcome.succeeded)
    #expect(outcome.output == Array("started\n".utf8))
}

@Test func clocksRunAndMemoryIsKnown() throws {
    #expect(Clock.realtimeSeconds() > 1_700_000_000)
    #expect(Clock.bootSeconds() > 0)
    let memory = try Machine.memory()
    #expect(memory.totalBytes > memory.availableBytes)
    #expect(memory.residentBytes > 1 << 20)
    #expect(try !Machine.kernelRelease().isEmpty)
    #expect(try Machine.bootID().count == 36)
}
