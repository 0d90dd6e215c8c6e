public import Contract

/// The settings that worked while provisioning, as files for systemd-networkd (systemd.network(5),
/// systemd.netdev(5)), so that the installed system starts with them.
public enum NetworkdFiles {
    /// One file.
    public struct File: Sendable, Equatable {
        /// Its name below `/run/systemd/network`.
        public var name: String
        /// Its text.
        public var text: String

        /// Makes a file.
        public init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// The files for the settings, or for DHCP on every Ethernet interface where there are none.
    public static func render(_ settings: NetworkSettings?) -> [File] {
        guard let settings else {
            return [File(name: "80-apus-dhcp.network", text: "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=yes\n")]
        }
        var files: [File] = []
        var top = match(settings.interfaces)
        var carrier = ""
        if let mode = settings.bondMode, settings.interfaces.count > 0 {
            files.append(
                File(
                    name: "10-apus-bond.netdev",
                    text: "[NetDev]\nName=bond0\nKind=bond\n\n[Bond]\nMode=\(mode)\nMIIMonitorSec=100ms\n"))
            files.append(
                File(name: "10-apus-members.network", text: match(settings.interfaces) + "\n[Network]\nBond=bond0\n"))
            top = "[Match]\nName=bond0\n"
        }
        if let vlan = settings.vlan {
            files.append(
                File(
                    name: "10-apus-vlan.netdev",
                    text: "[NetDev]\nName=vlan\(vlan)\nKind=vlan\n\n[VLAN]\nId=\(vlan)\n"))
            carrier = top + "\n[Network]\nVLAN=vlan\(vlan)\nLinkLocalAddressing=no\n"
            files.append(File(name: "10-apus-carrier.network", text: carrier))
            top = "[Match]\nName=vlan\(vlan)\n"
        }
        files.append(File(name: "10-apus.network", text: top + "\n" + network(settings)))
        return files
    }

    private static func match(_ addresses: [String]) -> String {
        addresses.isEmpty
            ? "[Match]\nType=ether\nKind=!*\n"
            : "[Match]\nPermanentMACAddress=\(addresses.joined(separator: " "))\n"
    }

    private static func network(_ settings: NetworkSettings) -> String {
        var lines = ["[Network]"]
        lines.append("DHCP=\(settings.dhcp ? "yes" : "no")")
        lines += settings.addresses.map { "Address=\($0)" }
        if let gateway = settings.gateway { lines.append("Gateway=\(gateway)") }
        lines += settings.nameServers.map { "DNS=\($0)" }
        if settings.dhcp {
            // The lease must outlive a restart of networkd, and the node's identity is its own, not the machine's.
            lines += ["", "[DHCPv4]", "ClientIdentifier=mac"]
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
