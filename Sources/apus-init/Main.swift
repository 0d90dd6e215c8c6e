import Linux
import Node

/// One program under three names: PID 1 of the initramfs, the script of the DHCP client, and the guardian of a trial.
@main
struct Main {
    static func main() {
        let arguments = CommandLine.arguments
        if Processes.ownID == 1 { FirstProcess.run() }
        if arguments.contains(Guardian.name) { Processes.exitNow(Guardian.run()) }
        let environment = ProcessEnvironment.all()
        if LeaseScript.isCaller(environment) {
            Processes.exitNow(LeaseScript.run(event: arguments.dropFirst().first ?? "", environment: environment))
        }
        ProcessEnvironment.complain("apus-init is the first process of Apus' initramfs; it does nothing elsewhere")
        Processes.exitNow(2)
    }
}
