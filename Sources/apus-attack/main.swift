// A hostile program: it tries what a container must not be able to do, and says what the kernel said.
//
// It is in no image but the lab's own, and does nothing outside of a sandbox that the lab made for it.
import CAttack
import Glibc

let usage = """
    usage: apus-attack rows                          the names of all rows
           apus-attack row [--seconds N] NAME...     plays rows
           apus-attack victim [SAMPLES]              measures its own latency every 10 ms
           apus-attack idle                          sleeps
           apus-attack canary                        listens where a container must not reach
           apus-attack naive-runtime PID TASK        enters a container as a careless runtime would

    """

func fail(_ text: String) -> Never {
    _ = write(2, text, text.utf8.count)
    exit(2)
}

let arguments = Array(CommandLine.arguments.dropFirst())
// What is written to a reader that is gone ends the attempt with an error, not the program with a signal.
signal(SIGPIPE, SIG_IGN)
switch arguments.first {
case "rows": for attack in Attack.all { print(attack.row) }
case "row":
    var names = Array(arguments.dropFirst())
    if names.first == "--seconds", names.count > 1 {
        guard let seconds = Int(names[1]), (0...120).contains(seconds) else { fail("--seconds takes 0 to 120\n") }
        Pace.seconds = seconds
        names.removeFirst(2)
    }
    guard !names.isEmpty else { fail(usage) }
    for name in names {
        guard let attack = Attack.all.first(where: { $0.row == name }) else { fail("there is no row '\(name)'\n") }
        attack.play()
    }
case "victim": Victim.measure(samplesPerWindow: arguments.dropFirst().first.flatMap { Int($0) } ?? 100)
case "idle":
    // Ends at once where it is asked to, as PID 1 does only with a handler of its own.
    signal(SIGTERM) { _ in attack_exit(0) }
    while true { pause() }
case "canary": Canary.listen()
case "effective-user": print(geteuid())
case "naive-runtime":
    guard arguments.count >= 3, let process = Int32(arguments[1]) else { fail(usage) }
    NaiveRuntime.enter(process, arguments[2])
default: fail(usage)
}
