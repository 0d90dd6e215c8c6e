import ArgumentParser

// The provisioning endpoint: routes, registration, certificates, releases, events.
// Composition only.
@main
struct Apusd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apusd",
        abstract: "Provisions machines and keeps them up to date.",
        discussion: """
            Without any option it runs: it makes a certificate authority, listens on ports 8443 (API, HTTPS) and 8080 \
            (boot artifacts, HTTP), and says where its files are. Each option can also be given in the environment, as \
            APUSD_ and its name in capitals, such as APUSD_DATA or APUSD_BOOT_PORT; options that may be repeated take a \
            list with commas there. APUSD_LOG_LEVEL is one of trace, debug, info, notice (the default), warning, error \
            and critical. Exit codes: 0 stopped as asked, 1 failed, 64 wrong usage.
            """,
        version: "0.1.0",
        subcommands: [Serve.self, Backup.self, Restore.self],
        defaultSubcommand: Serve.self)
}
