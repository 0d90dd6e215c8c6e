import ArgumentParser

/// The operator's and builder's program.
@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract:
            "Looks after nodes, workloads, releases and join tokens; builds releases and boot artifacts; rehearses on "
            + "virtual machines.",
        discussion: """
            'apus login' signs in and keeps the server's address, its CA and a token in a file of yours alone. \
            Otherwise the server is named by --server or APUS_SERVER, its CA by --ca or APUS_CA, a token by \
            --token-file, APUS_TOKEN_FILE or APUS_TOKEN. Where none of these is given and this machine runs apusd, \
            its own are used.

            Exit codes: 0 done, 1 refused or failed, 64 wrong usage, 69 the server cannot be reached or is not to be \
            trusted, 77 the server does not accept the token. docs/cli.md has examples of every command.
            """,
        version: "0.1.0",
        subcommands: [
            NodeCommands.self, WorkloadCommands.self, SecretCommands.self, RegistryCommands.self, TokenCommands.self,
            ReleaseCommands.self, SiteCommand.self, BootArtifactCommand.self, USBImageCommand.self, LabCommand.self,
            DemoCommand.self, LoginCommand.self, LogoutCommand.self, WhoAmICommand.self, PasswordCommand.self,
            UserCommands.self, RoleCommands.self, APITokenCommands.self, AuditCommands.self,
        ])
}
