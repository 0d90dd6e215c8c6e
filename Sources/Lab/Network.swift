import FoundationEssentials
import Glibc

/// The network between server and machine: a network namespace of the lab's own with a bridge, a tap and dnsmasq; or,
/// where that is not to be had, QEMU's user network with its own DHCP and TFTP.
///
/// In both the server is 10.0.2.2, so that the same boot artifact serves both.
final class Network {
    /// How server and machine are joined.
    enum Kind: String, Sendable {
        /// Namespace, tap and dnsmasq.
        case namespace
        /// QEMU's user network.
        case user
    }

    /// The server's address.
    static let serverAddress = "10.0.2.2"
    /// The node's ports that scenarios reach for: that of a published workload, and that of functions.
    static let doors = [18080, 9900]
    /// How server and machine are joined.
    let kind: Kind
    private let directory: String
    private let bootDirectory: String
    private var dhcp: ChildProcess?

    /// What the DHCP server tells a machine beside its address.
    struct Offer: Equatable, Sendable {
        /// The file that PXE clients load by TFTP.
        var bootFile: String? = "apus-boot.efi"
        /// The address that UEFI HTTP clients load from.
        var httpURL: String?
        /// The provisioning endpoint, in site option 224.
        var endpoint: String?
        /// Whether leases are given at all.
        var givesLeases = true
    }

    /// A network whose files are in `directory` and whose TFTP folder is `bootDirectory`.
    init(kind: Kind, directory: String, bootDirectory: String) {
        self.kind = kind
        self.directory = directory
        self.bootDirectory = bootDirectory
    }

    /// Where a port of the node is found on QEMU's user network, which lets nothing in but what it was told of.
    static func userPort(of port: Int) -> Int { 20_000 + port % 10_000 }

    /// QEMU's `-netdev` for a machine on this network.
    func backend(for offer: Offer) -> String {
        switch kind {
        case .namespace: return "tap,ifname=lab0,script=no,downscript=no"
        case .user:
            let boot = offer.bootFile.map { ",tftp=\(bootDirectory),bootfile=\($0)" } ?? ""
            let doors = Network.doors.map { ",hostfwd=tcp:127.0.0.1:\(Network.userPort(of: $0))-:\($0)" }.joined()
            return "user,net=10.0.2.0/24,host=10.0.2.2\(boot)\(doors)"
        }
    }

    /// Brings up the loopback device, the bridge and the tap.
    func start() throws {
        guard kind == .namespace else { return }
        let commands = [
            "link set lo up",
            // The same address in each network: a machine that goes on in another one knows its server's.
            "link add labbr address 02:61:70:75:73:01 type bridge stp_state 0 forward_delay 0",
            "addr add \(Network.serverAddress)/24 dev labbr",
            "link set labbr up",
            "tuntap add lab0 mode tap",
            "link set lab0 master labbr up",
        ]
        for command in commands { try ChildProcess.check(["ip"] + command.split(separator: " ").map(String.init)) }
    }

    /// Starts answering DHCP and TFTP, or starts over with another offer.
    func serve(_ offer: Offer) throws {
        stopServing()
        guard kind == .namespace else { return }
        dhcp = try ChildProcess(
            .init(command: dhcpCommand(offer), logPath: directory + "/dnsmasq.log"))
        guard dhcp?.isRunning ?? false else { throw LabError("dnsmasq ended at once; see '\(directory)/dnsmasq.log'") }
    }

    /// Stops answering.
    func stopServing() {
        dhcp?.stop()
        dhcp = nil
    }

    /// Whether the DHCP server works as it should.
    var isHealthy: Bool { dhcp?.isRunning ?? true }

    /// The command line of dnsmasq for an offer (dnsmasq(8)).
    func dhcpCommand(_ offer: Offer) -> [String] {
        var list = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--log-dhcp"]
        // In a user namespace no group can be changed to; an empty name leaves it as it is.
        list += ["--user=root", "--group=", "--port=0", "--interface=labbr", "--bind-interfaces", "--no-ping"]
        list += ["--pid-file=", "--dhcp-leasefile=\(directory)/leases"]
        guard offer.givesLeases else { return list }
        list += ["--dhcp-range=10.0.2.50,10.0.2.150,255.255.255.0,1h", "--dhcp-option=3,\(Network.serverAddress)"]
        // Without this option a client is told to ask dnsmasq for names, which it does not serve here.
        list += ["--dhcp-option=6"]
        if let endpoint = offer.endpoint { list += ["--dhcp-option=224,\(endpoint)"] }
        if let bootFile = offer.bootFile {
            list += ["--enable-tftp", "--tftp-root=\(bootDirectory)", "--dhcp-boot=\(bootFile)"]
        }
        if let url = offer.httpURL {
            list += ["--dhcp-vendorclass=set:efi-http,HTTPClient:Arch:00016"]
            list += ["--dhcp-option-force=tag:efi-http,60,HTTPClient", "--dhcp-boot=tag:efi-http,\(url)"]
        }
        return list
    }
}

/// How a scenario gets a network of its own.
enum Isolation {
    /// The command before the lab's own that puts it into a namespace, and what it makes possible.
    struct Way: Equatable, Sendable {
        /// The words before the program; empty where there is no namespace.
        var prefix: [String]
        /// The network that this allows.
        var network: Network.Kind
        /// What the user is told, in one line, where it is not the best way.
        var remark: String?
    }

    /// Tries what this machine allows: a network namespace as root, a user namespace, or neither.
    static func choose() -> Way {
        // The scenario dies with the program that waits for it, whatever that dies of.
        let end = ["--fork", "--kill-child=KILL"]
        if geteuid() == 0, allows(["unshare", "--net"] + end) {
            return Way(prefix: ["unshare", "--net"] + end, network: .namespace, remark: nil)
        }
        let user = ["unshare", "--user", "--map-root-user", "--net"] + end
        if allows(user) { return Way(prefix: user, network: .namespace, remark: nil) }
        return Way(
            prefix: [], network: .user,
            remark: "no network namespace is allowed here: using QEMU's user network, with its own DHCP and TFTP")
    }

    private static func allows(_ prefix: [String]) -> Bool {
        let trial = prefix + ["ip", "tuntap", "add", "lab-trial", "mode", "tap"]
        return (try? ChildProcess.run(trial))?.exitCode == 0
    }
}
