import FoundationEssentials
import Glibc

/// The script `.lab/NAME/apus`: the operator's program, inside the scenario's network and with its server's address,
/// authority and token.
enum Wrapper {
    /// Writes the script; it works as long as the scenario runs.
    static func write(in directory: String, server: Server, paths: LabPaths, network: Network.Kind) throws {
        let address = network == .namespace ? Network.serverAddress : "127.0.0.1"
        let enter: String
        if network == .user {
            enter = ""
        } else if Isolation.isInUserNamespace {
            enter = "nsenter --target \(getpid()) --user --preserve-credentials --net -- "
        } else {
            enter = "nsenter --target \(getpid()) --net -- "
        }
        let script = """
            #!/bin/sh
            # Runs apus against the server of this scenario, for as long as it runs.
            export APUS_SERVER=https://\(address):8443
            export APUS_CA=\(server.certificatePath)
            export APUS_TOKEN_FILE=\(server.dataDirectory)/admin.token
            exec \(enter)\(paths.apus) "$@"

            """
        try Files.write(script, to: directory + "/apus", mode: 0o755)
    }
}

extension Isolation {
    /// Whether this process was put into a user namespace of the lab's own.
    static var isInUserNamespace: Bool { ProcessInfo.processInfo.environment["APUS_LAB_USERNS"] == "1" }
}
