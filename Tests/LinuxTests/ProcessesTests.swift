import Glibc
import Linux
import TestSupport
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
    let fifo = scratch.path + "/fifo"
    try #require(mkfifo(fifo, 0o600) == 0)
    let reader = open(fifo, O_RDONLY | O_NONBLOCK)
    try #require(reader >= 0)
    defer { close(reader) }
    // The grandchild alone holds the other end: it hangs up when, and only when, the grandchild is gone.
    let script = "sh -c 'echo; exec sleep 1000' >\(fifo) & wait"
    let outcome = try Processes.run("/bin/sh", ["-c", script], timeoutSeconds: 3)
    #expect(outcome.ending == .timedOut)
    var byte: UInt8 = 0
    #expect(read(reader, &byte, 1) == 1, "the grandchild was started")
    var hangup = pollfd(fd: reader, events: 0, revents: 0)
    #expect(poll(&hangup, 1, 60_000) == 1)
    #expect(hangup.revents & Int16(POLLHUP) != 0)
}

@Test func aDaemonThatKeepsTheOutputOpenIsNotAwaited() throws {
    let outcome = try Processes.run("/bin/sh", ["-c", "sleep 5 & echo started"], timeoutSeconds: 60)
    #expect(outcome.succeeded)
    #expect(outcome.output == Array("started\n".utf8))
}

@Test func aProgramThatGoesOnIsAwaitedUntilItIsReady() throws {
    let scratch = try Scratch()
    let mark = scratch.path + "/mark"
    let script = "sleep 0.3; : > \(mark); echo ready; exec sleep 30"
    let child = try Processes.spawnReady("/bin/sh", ["-c", script], timeoutSeconds: 60)
    #expect(access(mark, F_OK) == 0, "it had done what it does before it says so")
    #expect(try Processes.wait(for: child, block: false) == nil, "it goes on")
    try Processes.signal(child, SIGKILL)
    #expect(try Processes.wait(for: child) == .signalled(SIGKILL))
}

@Test func aProgramThatEndsOrStaysSilentIsNotTakenForReady() {
    #expect(throws: SystemError("start", "/bin/true", code: EPIPE, detail: "it ended before it was ready")) {
        try Processes.spawnReady("/bin/true", [], timeoutSeconds: 60)
    }
    let silent = SystemError("start", "/bin/sleep", code: ETIMEDOUT, detail: "it did not say that it is ready")
    #expect(throws: silent) { try Processes.spawnReady("/bin/sleep", ["30"], timeoutSeconds: 1) }
}

@Test func aSmallMachineForgoesHugePagesAndALargeOneDoesNot() throws {
    let root = try Scratch()
    let setting = "sys/kernel/mm/transparent_hugepage/enabled"
    // A kernel without them.
    try Machine.forgoHugePages(totalBytes: 1 << 30, root: root.path + "/")
    try root.file(setting, "always")
    try Machine.forgoHugePages(totalBytes: 4 << 30, root: root.path + "/")
    #expect(try root.text(setting) == "always")
    try Machine.forgoHugePages(totalBytes: (4 << 30) - 1, root: root.path + "/")
    #expect(try root.text(setting).hasPrefix("never"))
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
