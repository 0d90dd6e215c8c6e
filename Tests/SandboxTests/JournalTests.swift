import Contract
import Linux
import Synchronization
import TestSupport
import Testing
import Workloads

@testable import Sandbox

/// Workloads' logs: each within its bound, and none at another's cost.
@Suite(.ownThreads) struct Journals {
    private static let journald = "/lib/systemd/systemd-journald"
    /// The real journal of a workload, in directories of its own; says how much it took at most while it was flooded.
    ///
    /// A journal's stream begins with seven lines (systemd's stdout protocol): identifier, unit, priority, and switches.
    private static let flood = """
        import glob, os, socket, subprocess, sys, time
        name, megabytes = sys.argv[1], int(sys.argv[2])
        where = f"/run/systemd/journal.{name}"
        os.makedirs(where)
        machine = open("/etc/machine-id").read().strip()
        logs = f"/var/log/journal/{machine}.{name}"
        os.makedirs(logs)
        def taken():
            found = 0
            for path in glob.glob(logs + "/*"):
                try: found += os.stat(path).st_blocks * 512
                except FileNotFoundError: pass
            return found
        journal = subprocess.Popen([sys.argv[3], name])
        for _ in range(3000):
            if os.path.exists(where + "/stdout"): break
            time.sleep(0.01)
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect(where + "/stdout")
        stream.sendall(b"web\\n\\n6\\n0\\n0\\n0\\n0\\n")
        most = 0
        for part in range(megabytes * 16):
            stream.sendall(b"".join((os.urandom(256).hex() + "\\n").encode() for _ in range(128)))
            most = max(most, taken())
        stream.sendall(b"the last line\\n")
        stream.close()
        def read():
            words = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--namespace=+{name}"]
            return subprocess.run(words, capture_output=True).stdout.split(b"\\n")
        for _ in range(3000):
            lines = read()
            if b"the last line" in lines: break
            time.sleep(0.01)
        journal.terminate()
        journal.wait()
        print(max(most, taken()), len(lines), b"the last line" in lines)
        """

    static var canRun: Bool {
        Tool.has("python3") && Tool.has("journalctl") && Files.exists(journald) && Files.exists("/etc/machine-id")
            && Processes.ownUser == 0 && Tool.run(["unshare", "--mount", "true"]).status == 0
    }

    @Test(
        .enabled(if: canRun, "needs systemd's journal, python3 and root"),
        arguments: [WorkloadJournal.minimumBytes, 5 << 20])
    func aFloodedJournalNeverTakesMoreThanItsDocumentSays(_ bytes: UInt64) throws {
        let scratch = try MountScratch()
        let web = try #require(WorkloadName("web"))
        var journals = WorkloadJournals(settings: scratch.path + "/systemd", logs: scratch.path + "/none")
        journals.restart = { Issue.record("\($0) was restarted, and never ran") }
        try journals.keep(web, bytes: bytes)
        try scratch.folder.file("flood.py", Array(Self.flood.utf8))
        let script = """
            mount -t tmpfs none /var/log && mount -t tmpfs none /run && cp -r "$1"/systemd /run &&
            exec python3 "$1"/flood.py apus-web 24 "$2"
            """
        let said = Tool.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", scratch.path, Self.journald],
            seconds: 300)
        let line = said.output.split(separator: "\n").first { $0.hasSuffix(" True") }
        let most = try #require(line?.split(separator: " ").first.flatMap { UInt64($0) }, "\(said.output)")
        #expect(most <= bytes && most > bytes / 2, "\(most) of \(bytes)")
    }

    /// What a journal was asked.
    private final class Asked: Sendable {
        let restarts = Mutex<[String]>([])
        let isBroken = Mutex(false)

        func restart(_ unit: String) throws {
            restarts.withLock { $0.append(unit) }
            if isBroken.withLock({ $0 }) { throw SandboxError("it does not restart") }
        }
    }

    @Test func anotherBoundRestartsAJournalAndIsTriedAgainWhereThatFails() throws {
        let scratch = try Scratch()
        let web = try #require(WorkloadName("web"))
        let asked = Asked()
        var journals = WorkloadJournals(settings: scratch.path + "/systemd", logs: scratch.path + "/logs")
        journals.restart = { try asked.restart($0) }
        let path = scratch.path + "/systemd/journald@apus-web.conf.d/apus.conf"
        try journals.keep(web, bytes: 10 << 20)
        try journals.keep(web, bytes: 10 << 20)
        #expect(asked.restarts.withLock { $0 }.isEmpty)
        #expect(try Files.readText(path).contains("\nSystemMaxUse=9175040\nSystemMaxFileSize=1310720\n"))
        asked.isBroken.withLock { $0 = true }
        #expect(throws: SandboxError.self) { try journals.keep(web, bytes: 4 << 20) }
        asked.isBroken.withLock { $0 = false }
        try journals.keep(web, bytes: 4 << 20)
        #expect(asked.restarts.withLock { $0 } == [String](repeating: "systemd-journald@apus-web.service", count: 2))
        #expect(try Files.readText(path).contains("\nSystemMaxUse=3670016\nSystemMaxFileSize=524288\n"))
    }

    @Test func journalsOfWorkloadsThatAreGoneGoAndNoOthers() throws {
        let scratch = try Scratch()
        let journals = WorkloadJournals(settings: scratch.path + "/systemd", logs: scratch.path + "/logs")
        let machine = "0123456789abcdef0123456789abcdef"
        for name in ["", ".apus-web", ".apus-old", ".other", ".apus-", ".apus-UPPER"] {
            try scratch.file("logs/\(machine)\(name)/system.journal", [1])
        }
        for name in ["journald@apus-web.conf.d", "journald@apus-old.conf.d", "journald.conf.d", "journald@x.conf.d"] {
            try scratch.file("systemd/\(name)/a.conf", [1])
        }
        try journals.forget(except: [try #require(WorkloadName("web"))])
        #expect(
            try Set(Files.list(scratch.path + "/logs"))
                == Set(["", ".apus-web", ".other", ".apus-", ".apus-UPPER"].map { machine + $0 }))
        #expect(
            try Set(Files.list(scratch.path + "/systemd"))
                == ["journald@apus-web.conf.d", "journald.conf.d", "journald@x.conf.d"])
    }

    @Test func aFunctionsLinesGoIntoItsOwnJournal() {
        let name = "resize-0123456789ab"
        #expect(FunctionJournal.own(name) == "/run/systemd/journal.apus-resize/socket")
        #expect(FunctionJournal.own("x") == nil)
    }
}
