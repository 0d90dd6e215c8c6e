import Contract
import FoundationEssentials
import Operator

/// The real server, started on the lab's network with a data folder of its own.
final class Server {
    /// The server's HTTPS address as machines see it.
    static let endpoint = "https://\(Network.serverAddress):8443"
    /// Its plain HTTP address, for boot artifacts.
    static let bootEndpoint = "http://\(Network.serverAddress):8080"
    /// Its data folder.
    let dataDirectory: String
    /// Its log.
    let logPath: String
    /// The operator's client, while it runs.
    private(set) var client: OperatorClient?
    private let program: String
    private let arguments: [String]
    private let address: String
    private var process: ChildProcess?

    /// A server that is not started yet.
    init(program: String, dataDirectory: String, logPath: String, network: Network.Kind) {
        self.program = program
        self.dataDirectory = dataDirectory
        self.logPath = logPath
        // QEMU's user network hands 10.0.2.2 to the host's loopback address.
        address = network == .namespace ? Network.serverAddress : "127.0.0.1"
        arguments = [
            "serve", "--data", dataDirectory, "--address", network == .namespace ? "0.0.0.0" : "127.0.0.1",
            "--endpoint",
            Server.endpoint, "--name", Network.serverAddress, "--name", "127.0.0.1", "--name", "localhost",
        ]
    }

    /// Whether it runs.
    var isRunning: Bool { process?.isRunning ?? false }

    /// Starts it and waits until it answers.
    func start() throws {
        try Files.makeFolder(dataDirectory)
        let child = try ChildProcess(.init(command: [program] + arguments, logPath: logPath))
        process = child
        let deadline = Deadline(seconds: 60)
        while true {
            if let client = try? connect(), (try? client.health()) != nil {
                self.client = client
                return
            }
            guard child.isRunning else { throw LabError("the server ended at once; see '\(logPath)'") }
            guard !deadline.isOver else { throw DeadlinePassed(awaited: "the server to answer", seconds: 60) }
            _ = Waiting.rest(milliseconds: 100)
        }
    }

    /// Stops it in an orderly way.
    func stop() {
        client = nil
        process?.stop(graceSeconds: 20)
        process = nil
    }

    /// The operator's client.
    func api() throws(LabError) -> OperatorClient {
        guard let client else { throw LabError("the server is not running") }
        return client
    }

    /// Where the server keeps its CA's certificate.
    var certificatePath: String { dataDirectory + "/ca.crt" }

    private func connect() throws -> OperatorClient {
        let token = try Files.read(dataDirectory + "/admin.token").filter { !$0.isWhitespace }
        return try OperatorClient(
            endpoint: "https://\(address):8443", caCertificate: try Files.read(certificatePath), token: token)
    }
}
