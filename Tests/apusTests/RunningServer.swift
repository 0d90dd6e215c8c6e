import Contract
import Cryptography
import Fetch
import Foundation
import Testing
import Workloads

/// The programs as they were built, beside the tests.
enum Programs {
    static let folder: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let candidates = [own, CommandLine.arguments.first ?? ""].map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().path
        }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0 + "/apusd") } ?? candidates[0]
    }()

    static var apus: String { folder + "/apus" }
    static var apusd: String { folder + "/apusd" }
}

/// What a program printed and how it ended.
struct Outcome {
    var code: Int32
    var output: String
    var errors: String

    /// The one JSON document that was printed.
    func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(output.utf8))
    }
}

/// A folder of a test's own, gone with the value.
final class Scratch {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-cli-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws -> String {
        let file = path + "/" + name
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }
}

/// Runs a program to its end; its environment is only what is given, and `PATH`; without input there is none.
@discardableResult
func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String? = nil
) async throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"].merging(environment) { $1 }
    // Files, not pipes: nobody has to read them while the program runs.
    let scratch = try Scratch()
    let (output, errors) = (try scratch.write("output", ""), try scratch.write("errors", ""))
    process.standardInput =
        try input.map {
            try FileHandle(forReadingFrom: URL(fileURLWithPath: try scratch.write("input", $0)))
        } ?? FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    try await process.runToItsEnd()
    return Outcome(
        code: process.terminationStatus, output: try String(contentsOfFile: output, encoding: .utf8),
        errors: try String(contentsOfFile: errors, encoding: .utf8))
}

extension Process {
    /// Runs it without holding up a thread that other tests need.
    fileprivate func runToItsEnd() async throws {
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            terminationHandler = { _ in ended.resume() }
            do { try run() } catch { ended.resume(throwing: error) }
        }
    }
}

/// Runs what blocks on a thread of its own: the few that all tests share are not held up.
private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { done in Thread.detachNewThread { done.resume(returning: body()) } }
}

/// `onThread` for what may fail.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await onThread { Result { try body() } }.get()
}

/// Reads text until it is enough, or ends.
private func readText(_ descriptor: Int32, until isEnough: (String) -> Bool) -> String {
    var text = ""
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !isEnough(text) {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        text += String(decoding: buffer[..<count], as: UTF8.self)
    }
    return text
}

/// `apusd` as it was built, listening on loopback, with its data in a folder of its own.
final class RunningServer {
    let scratch: Scratch
    let data: String
    let address: String
    private let process: Process
    private let output: FileHandle

    /// Starts it and waits until it listens.
    ///
    /// `memoryDisk` puts its data on a file system of that many bytes, in a mount namespace of its own.
    init(in scratch: Scratch? = nil, options: [String] = [], memoryDisk: Int? = nil) async throws {
        let scratch = try scratch ?? Scratch()
        self.scratch = scratch
        let place = scratch.path + "/data"
        let arguments = ["--data", place, "--address", "127.0.0.1", "--port", "0", "--boot-port", "0"] + options
        let wrapper = memoryDisk.map { size in
            let mount = "mount -t tmpfs -o size=\(size) none \"$0\" && exec \"$@\""
            return ["/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c", mount, scratch.path]
        }
        process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        // A child of a test's thread inherits signals blocked; the server is to hear SIGTERM.
        let unblock =
            "import os,signal,sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execv(sys.argv[1], sys.argv[1:])"
        process.arguments = ["-c", unblock] + (wrapper ?? []) + [Programs.apusd] + arguments
        process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.standardError
        try process.run()
        // What is mounted there is seen through the process alone.
        data = memoryDisk == nil ? place : "/proc/\(process.processIdentifier)/root" + place
        output = pipe.fileHandleForReading
        let descriptor = output.fileDescriptor
        // The last line of the summary comes when both ports are open.
        let said = await onThread { readText(descriptor) { $0.contains("CA certificate") } }
        try #require(said.contains("CA certificate"), "apusd ended instead of running: \(said)")
        address = try String(contentsOfFile: data + "/address", encoding: .utf8).trimmingCharacters(in: .newlines)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    /// Asks it to stop; returns its exit code and what it said last.
    func stop() async throws -> (code: Int32, words: String) {
        kill(process.processIdentifier, SIGTERM)
        let descriptor = output.fileDescriptor
        let words = await onThread { readText(descriptor) { $0.contains("has stopped") } }
        process.waitUntilExit()
        return (process.terminationStatus, words)
    }

    /// Runs `apus` against it.
    @discardableResult
    func apus(_ arguments: String...) async throws -> Outcome {
        try await run(Programs.apus, arguments, environment: environment)
    }

    /// How `apus` is told of it.
    var environment: [String: String] {
        ["APUS_SERVER": address, "APUS_CA": data + "/ca.crt", "APUS_TOKEN_FILE": data + "/admin.token"]
    }

    var caCertificate: String { get throws { try String(contentsOfFile: data + "/ca.crt", encoding: .utf8) } }
}

/// A machine that registers as `apus-init` does.
struct TestMachine {
    let key: P256PrivateKey
    let serial = "SN-" + UUID().uuidString
    private let nonce: [UInt8]

    init() throws {
        key = try P256PrivateKey()
        nonce = try randomBytes(32)
    }

    /// Registers; returns where that stands, and the code on the machine's screen.
    func register(_ server: RunningServer, token: String? = nil) throws -> (status: RegistrationStatus, code: String) {
        let http = try HTTPClient(HTTPConfiguration(caCertificates: try server.caCertificate))
        let digest = try #require(Digest256(bytes: key.publicKey.spkiDigest))
        let commitment = SHA256.digest(RegistrationTranscript.commitmentInput(nodeKey: digest, nodeNonce: nonce))
        let request = RegistrationRequest(
            certificateRequest: try CertificateRequest.make(key: key, commonName: "new node"),
            commitment: try #require(Digest256(bytes: commitment)), token: token, inventory: inventory,
            bootArtifactVersion: "test")
        let begun = try http.request(
            "POST", server.address + "/v1/registrations", headers: [.json], body: try Wire.encode(request))
        let reply = try Wire.decode(RegistrationReply.self, from: begun.body)
        let revealed = try http.request(
            "POST", server.address + "/v1/registrations/\(reply.registrationID)/reveal",
            headers: [.json, .bearer(reply.secret)],
            body: try Wire.encode(RegistrationReveal(nodeNonce: nonce.lowercaseHex)))
        let authority = try Certificate(pem: try server.caCertificate)
        let input = RegistrationTranscript.codeInput(
            nodeKey: digest, serverKey: try #require(Digest256(bytes: authority.spkiDigest)), nodeNonce: nonce,
            serverNonce: try #require([UInt8](lowercaseHex: reply.serverNonce)))
        let code = RegistrationTranscript.code(from: try #require(Digest256(bytes: SHA256.digest(input))))
        return (try Wire.decode(RegistrationStatus.self, from: revealed.body), code)
    }

    /// A connection with the certificate that it was admitted with.
    func connect(_ server: RunningServer, certificate: String) throws -> HTTPClient {
        let identity = ClientIdentity(certificatePEM: certificate, keyPEM: try key.pem())
        return try HTTPClient(HTTPConfiguration(caCertificates: try server.caCertificate, identity: identity))
    }

    /// What it speaks to the server with from any thread, once it was admitted.
    func admitted(_ server: RunningServer) async throws -> NodeEnd {
        let token = try await server.apus("token", "create").output.trimmingCharacters(in: .newlines)
        let status = try register(server, token: token).status
        let identity = ClientIdentity(
            certificatePEM: try #require(status.certificate), keyPEM: try key.pem())
        return NodeEnd(
            id: try #require(status.nodeID), address: server.address, caCertificate: try server.caCertificate,
            identity: identity)
    }

    private var inventory: Inventory {
        Inventory(
            smbios: .init(
                manufacturer: "Maker\u{202e}", product: "Box", serial: serial, uuid: UUID().uuidString.lowercased(),
                assetTag: ""),
            architecture: .current, processor: "cpu", processorCount: 4, memoryBytes: UInt64.max,
            networkInterfaces: [], disks: [], usb: [], pci: [], hasTPM: false,
            firmware: .init(vendor: "EDK II", version: "1", secureBoot: false), clockSeconds: 1_800_000_000)
    }
}

/// An admitted machine's side of the API; blocks its thread.
struct NodeEnd: Sendable {
    let id: NodeID
    let address: String
    let caCertificate: String
    let identity: ClientIdentity

    /// A connection of its own.
    func connect() throws -> HTTPClient {
        try HTTPClient(HTTPConfiguration(caCertificates: caCertificate, identity: identity))
    }

    /// Asks what is wanted, again after every change, until `find` has found what it looks for.
    func wait<Value>(_ find: (HTTPClient, DesiredState) throws -> Value?) throws -> Value {
        let http = try connect()
        var after = 0
        while true {
            let reply = try http.request("GET", address + "/v1/node/desired?after=\(after)&waitSeconds=20")
            guard !reply.body.isEmpty else { continue }
            let state = try Wire.decode(DesiredState.self, from: reply.body)
            if let found = try find(http, state) { return found }
            after = state.generation
        }
    }

    /// What its workloads are to be.
    func assignment(_ http: HTTPClient) throws -> WorkloadAssignment {
        let reply = try http.request("GET", address + "/v1/node/workloads", limitBytes: WorkloadWireLimit.assignment)
        return try WorkloadAssignment.decoded(from: reply.body)
    }

    /// Says how a workload fares.
    func report(_ http: HTTPClient, _ report: WorkloadReport, generation: Int) throws {
        let reports = WorkloadReports(generation: generation, reports: [report])
        _ = try http.request(
            "POST", address + "/v1/node/workloads", headers: [.json], body: try Wire.encode(reports))
    }
}
