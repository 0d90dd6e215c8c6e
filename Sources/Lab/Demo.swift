import Contract
import FoundationEssentials
import Glibc
import Operator

/// The whole story on one machine: blank hardware, provisioned, upgraded, and an unhealthy release rolled back.
public enum Demo {
    private static let name = "demo"

    /// Plays the demo in a network of its own; returns the exit status.
    public static func run(paths: LabPaths, waits: Bool) throws -> Int32 {
        try paths.check()
        Interruption.install()
        try Files.makeFolder(paths.base)
        let way = Isolation.choose()
        if let remark = way.remark { print(remark) }
        flushOutput()
        let arguments = ["demo", "--project", paths.project, "--inside"] + (waits ? [] : ["--no-wait"])
        let child = try ChildProcess(
            LabRunner.command(way, paths, arguments, accelerator: Accelerator.choose(scratch: paths.base)))
        var isTold = false
        while child.isRunning {
            if !Waiting.rest(milliseconds: 100), !isTold {
                isTold = true
                child.signal(SIGTERM)
            }
        }
        return child.exitCode ?? 1
    }

    /// Plays the demo in the inner process; returns the exit status.
    public static func inside(paths: LabPaths, waits: Bool) throws -> Int32 {
        LabRunner.playInside(name, paths: paths) { lab in
            let story = DemoStory(lab)
            try story.tell()
            story.sum()
            if waits { try story.stay() }
        }
    }
}

/// The steps of the demo, and how they are shown.
private final class DemoStory {
    private struct Chapter {
        var title: String
        var seconds: Double
        var result: String
    }
    private let lab: Rehearsal
    private let display = DemoDisplay()
    private var chapters: [Chapter] = []

    init(_ lab: Rehearsal) {
        self.lab = lab
        let display = display
        lab.onEvent = { display.show($0) }
    }

    func tell() throws {
        try chapter("the site is made: an authority, a signing key, the first release, the boot artifact") {
            try lab.blankMachine()
            return "release \(LabRelease.first.version) is what new machines get"
        }
        try chapter("a blank machine is switched on, starts from the network and provisions itself") {
            try lab.machine.start()
            let node = try lab.waitForState(.online, within: 900)
            lab.noteStart(seconds: LabClock.seconds - lab.machine.lastResetSeconds)
            return "provisioned: \(describe(node))"
        }
        try chapter("a new release comes, is installed beside the running one and proves itself") {
            let name = try lab.upgrade(to: .second)
            _ = try lab.waitForOutcome(.committed, of: name, within: 900)
            return "upgraded: \(describe(try lab.waitForState(.online, within: 60)))"
        }
        try chapter("a release comes whose health check fails") {
            let rule = ProbationRule(holdSeconds: 10, deadlineSeconds: Int(90 * lab.patience), attempts: 1)
            let name = try lab.upgrade(to: .unhealthy, probation: rule)
            let outcome = try lab.waitForOutcome(.rolledBack, of: name, within: 900)
            let node = try lab.waitForState(.online, within: 120)
            return "rolled back: \(describe(node)); the reason: \(outcome.reason)"
        }
    }

    private func chapter(_ title: String, _ body: () throws -> String) throws {
        display.end()
        let begun = LabClock.seconds
        let result = try lab.step(title, body)
        display.end()
        lab.timeline.say(result)
        chapters.append(Chapter(title: title, seconds: LabClock.seconds - begun, result: result))
    }

    func sum() {
        print("\nWhat happened:")
        for chapter in chapters {
            print("  \(Timeline.format(chapter.seconds))  \(chapter.title)")
            print("              → \(chapter.result)")
        }
        print("  \(Timeline.format(lab.timeline.seconds))  in all")
        flushOutput()
    }

    /// Leaves server and machine to the person, until Ctrl-C.
    func stay() throws {
        let apus = ".lab/demo/apus"
        let node = String(try lab.node().id.rawValue.prefix(8))
        print(
            """

            Server and machine run on until Ctrl-C. In another terminal, in this folder, look around:
              \(apus) node list
              \(apus) node show \(node)
              \(apus) node events \(node)
              \(apus) node logs \(node)
              \(apus) node upgrade \(node) \(LabRelease.first.version)
              \(apus) release list
              tail -f .lab/demo/console.log

            """)
        flushOutput()
        lab.machine.allowPowerOff()
        while !Interruption.isRequested { try? lab.pump() }
        print("ending server and machine")
    }

    private func describe(_ node: NodeView) -> String {
        let slot = node.status?.runningSlot
        let version = slot.flatMap { node.status?.slots[$0]?.version } ?? "?"
        let entry = node.status?.bootEntry.map(NVRAM.bootName) ?? "kexec"
        return "node \(node.id.rawValue.prefix(10)) is \(node.state.rawValue) with \(version) in slot "
            + "\(slot?.letter ?? "?"), started by \(entry)"
    }
}

/// The node's own steps as they come: one line that moves on a terminal, plain lines elsewhere.
private final class DemoDisplay {
    private let isTerminal = isatty(1) == 1
    private var isOpen = false

    func show(_ event: Event) {
        guard let step = event.step else {
            if event.kind == "state" || event.kind == "upgrade" { line("    \(event.message)") }
            return
        }
        let title = "    \(step.sequence): \(step.step)"
        switch step.state {
        case .started: over(title)
        case .progress: over(title + progress(step))
        case .finished: line(title + "  \(Timeline.format(Double(step.milliseconds) / 1000))")
        case .skipped: break
        case .failed: line(title + "  failed: \(step.detail)")
        }
    }

    func end() {
        if isOpen { print("") }
        isOpen = false
        flushOutput()
    }

    private func progress(_ step: StepReport) -> String {
        guard let done = step.done, let total = step.total, total > 0 else { return "" }
        let percent = Int(min(100, done * 100 / total))
        let filled = percent / 5
        return "  [" + String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled)
            + "] \(percent) %"
    }

    private func over(_ text: String) {
        guard isTerminal else { return }
        print("\r\(text)\u{1b}[K", terminator: "")
        isOpen = true
        flushOutput()
    }

    private func line(_ text: String) {
        print(isOpen ? "\r\(text)\u{1b}[K" : text)
        isOpen = false
        flushOutput()
    }
}
