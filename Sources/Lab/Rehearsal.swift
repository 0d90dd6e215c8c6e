import Contract
import FoundationEssentials
import Glibc
import Operator

/// A scenario's stage: one machine, one server, the network between them, and the words that scenarios are written
/// in. Everything runs on one thread: waiting is what moves it on.
final class Rehearsal {
    /// The scenario's name.
    let name: String
    /// Where things are.
    let paths: LabPaths
    /// What happened so far.
    let timeline: Timeline
    /// What the scenarios share: the authority, the keys and the releases.
    let site: Site
    /// The network between server and machine.
    let network: Network
    /// The server.
    let server: Server
    /// The machine; set by `blankMachine` or `installedMachine`.
    private(set) var machine: Machine
    /// What the DHCP server offers.
    private(set) var offer = Network.Offer()
    /// Called with each event of the server, oldest first.
    var onEvent: ((Event) -> Void)?
    /// The server's events so far.
    private(set) var events: [Event] = []
    /// What is printed last, such as a table of results.
    var closing: [String] = []
    /// What is awaited now, for the diagnosis.
    private(set) var awaited: String?
    /// How long the machine took from a reset to its report, where that was measured.
    private(set) var startSeconds: Double?
    private var lastAsked = 0.0
    private var lastSequence: Int64 = 0
    private var mayBeWithoutServer = true

    /// This scenario's folder.
    var directory: String { paths.scenario(name) }

    /// Sets up a stage on which nothing runs yet.
    init(name: String, paths: LabPaths, network kind: Network.Kind, accelerator: String) throws {
        self.name = name
        self.paths = paths
        timeline = Timeline(name: name)
        let directory = paths.scenario(name)
        try Files.makeFolder(paths.base)
        try Files.remove(directory)
        try Files.makeFolder(directory + "/boot")
        site = Site(paths: paths, networkKind: kind)
        network = Network(kind: kind, directory: directory, bootDirectory: directory + "/boot")
        server = Server(
            program: paths.apusd, dataDirectory: directory + "/server", logPath: directory + "/apusd.log", network: kind
        )
        let firmware = try paths.firmware()
        machine = Machine(
            spec: MachineSpec(
                name: name, diskPath: directory + "/disk.qcow2", firmwareCodePath: firmware.code,
                nvramPath: directory + "/nvram.fd", accelerator: accelerator, consolePath: directory + "/console.log"),
            qemuLogPath: directory + "/qemu.log")
    }

    // MARK: - Setting the stage

    /// A machine with an empty disk and fresh firmware, a server that knows no node, and a network that boots.
    func blankMachine(diskBytes: UInt64 = 8 << 30, _ change: (inout MachineSpec) -> Void = { _ in }) throws {
        try network.start()
        try step("make the site: authority, keys, the first release") {
            try site.prepare(say: timeline.say)
        }
        try Files.copy(site.serverDirectory, to: server.dataDirectory)
        try Files.copy(try paths.firmware().variables, to: machine.spec.nvramPath)
        try ChildProcess.check([
            "qemu-img", "create", "-q", "-f", "qcow2", directory + "/disk.qcow2", String(diskBytes),
        ])
        try raise(change)
    }

    /// The machine that `provision-pxe` installed, on a copy of its disk, its firmware's memory and its server.
    func installedMachine(_ change: (inout MachineSpec) -> Void = { _ in }) throws {
        try network.start()
        let installed = InstalledNode(paths: paths)
        guard installed.isCurrent(try site.fingerprint(), accelerator: machine.spec.accelerator) else {
            throw LabError("there is no installed node to start from; run 'apus lab provision-pxe' first")
        }
        try Files.copy(installed.serverDirectory, to: server.dataDirectory)
        try Files.copy(installed.nvramPath, to: machine.spec.nvramPath)
        try ChildProcess.check([
            "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", installed.diskPath,
            directory + "/disk.qcow2",
        ])
        try raise(change)
        try step("go on with the installed machine") {
            // What the server tells of the node's past is no news.
            lastSequence = try server.api().newestEvent()
            let before = try node().lastSeenSeconds
            try machine.resume(from: installed.memoryPath)
            _ = try wait(for: "the installed system to report", within: 120) { () -> Bool? in
                let node = try node()
                return node.lastSeenSeconds > before && node.state == .online ? true : nil
            }
        }
    }

    private func raise(_ change: (inout MachineSpec) -> Void) throws {
        try Wrapper.write(in: directory, server: server, paths: paths, network: network.kind)
        try step("start the server") { try server.start() }
        mayBeWithoutServer = false
        try serveBootArtifact(site.bootArtifact(withToken: true))
        offer.endpoint = Server.endpoint
        try network.serve(offer)
        machine.spec.networkBackend = network.backend(for: offer)
        change(&machine.spec)
    }

    /// Changes what the DHCP server offers.
    func changeOffer(_ change: (inout Network.Offer) -> Void) throws {
        change(&offer)
        try network.serve(offer)
        machine.spec.networkBackend = network.backend(for: offer)
    }

    /// Serves that boot artifact from now on.
    func serveBootArtifact(_ path: String) throws {
        let target = directory + "/boot/apus-boot.efi"
        try Files.copy(path, to: target)
        // An artifact with a token is its owner's alone, and TFTP gives out what everyone may read (dnsmasq(8)).
        guard chmod(target, 0o644) == 0 else { throw LabError("cannot share '\(target)': \(lastError())") }
    }

    /// Stops the server; the scenario goes on without it.
    func stopServer() {
        mayBeWithoutServer = true
        server.stop()
    }

    /// Starts the server again.
    func startServer() throws {
        try server.start()
        mayBeWithoutServer = false
    }

    /// Puts everything away; the files stay.
    func end() {
        machine.end()
        server.stop()
        network.stopServing()
    }

    // MARK: - Words

    /// A step of the scenario.
    func step<Value>(_ title: String, _ body: () throws -> Value) throws -> Value { try timeline.step(title, body) }

    /// Notes how long a start took.
    func noteStart(seconds: Double) { startSeconds = seconds }

    /// The factor for deadlines that the node itself keeps.
    var patience: Double { max(Deadline.patience, startSeconds.map(Deadline.patience(startSeconds:)) ?? 1) }

    /// Fails the scenario where something is not as it must be.
    func expect(_ condition: Bool, _ sentence: String) throws(LabError) {
        guard condition else { throw LabError("not so: \(sentence)") }
    }

    /// Waits until `condition` gives something; the deadline is in seconds before `APUS_LAB_PATIENCE`.
    func wait<Value>(for what: String, within seconds: Double, until condition: () throws -> Value?) throws -> Value {
        let deadline = Deadline(seconds: seconds)
        awaited = what
        while true {
            try pump()
            if let value = try condition() {
                awaited = nil
                return value
            }
            guard !deadline.isOver else {
                throw DeadlinePassed(awaited: what, seconds: Int(deadline.allowedSeconds))
            }
        }
    }

    /// Takes in what machine and server did, and checks that both are alive where they must be.
    func pump() throws {
        guard !Interruption.isRequested else { throw LabError("interrupted") }
        machine.pump(milliseconds: 200)
        guard machine.mayBeOff || machine.isRunning else { throw LabError("the machine switched itself off") }
        guard network.isHealthy else { throw LabError("dnsmasq ended; see '\(directory)/dnsmasq.log'") }
        guard server.isRunning else {
            guard mayBeWithoutServer else { throw LabError("the server ended; see '\(server.logPath)'") }
            return
        }
        if LabClock.seconds - lastAsked > 0.4 {
            lastAsked = LabClock.seconds
            try takeEvents()
        }
    }

    private func takeEvents() throws {
        for event in try server.api().events(after: lastSequence) {
            lastSequence = event.sequence
            events.append(event)
            timeline.note(event)
            onEvent?(event)
        }
    }
}
