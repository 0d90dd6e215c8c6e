public import Contract

/// Network settings as the kernel command line gives them.
///
/// `apus.network=dhcp` or keys parted by commas, of which `address`, `dns` and `interface` may be repeated:
/// `apus.network=address=192.0.2.7/24,gateway=192.0.2.1,dns=192.0.2.53,vlan=12,interface=52:54:00:12:34:56`.
/// `bond=802.3ad` joins the interfaces; `proxy=http://…` names a proxy.
public enum NetworkArgument {
    /// Parses the value of `apus.network`.
    /// - Throws: `NodeError` that names the word which is wrong.
    public static func parse(_ text: String) throws(NodeError) -> NetworkSettings {
        var settings = NetworkSettings(dhcp: false)
        guard text.utf8.count <= 2048 else { throw NodeError("apus.network is longer than 2048 bytes") }
        for word in text.split(separator: ",") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let key = parts[0]
            let value = parts.count == 2 ? parts[1] : ""
            switch key {
            case "dhcp": settings.dhcp = true
            case "address": settings.addresses.append(value)
            case "gateway": settings.gateway = value
            case "dns": settings.nameServers.append(value)
            case "interface": settings.interfaces.append(value.lowercased())
            case "vlan":
                guard let vlan = Int(value) else { throw NodeError("apus.network: vlan '\(value)' is not a number") }
                settings.vlan = vlan
            case "bond": settings.bondMode = value
            case "proxy": settings.proxy = value
            default:
                throw NodeError(
                    "apus.network: '\(key)' is not one of dhcp, address, gateway, dns, interface, vlan, bond, proxy")
            }
        }
        return try NetworkRules.checked(settings, source: "apus.network")
    }
}

/// Which network settings make sense.
public enum NetworkRules {
    /// The bond modes of the kernel (Documentation/networking/bonding.rst).
    static let bondModes = [
        "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
    ]

    /// Returns the settings when all of them can be applied.
    /// - Throws: `NodeError` that names the source and the field.
    public static func checked(_ settings: NetworkSettings, source: String) throws(NodeError) -> NetworkSettings {
        func refuse(_ what: String) -> NodeError { NodeError("\(source): \(what)") }
        guard settings.interfaces.count <= 16, settings.addresses.count <= 16, settings.nameServers.count <= 8 else {
            throw refuse("at most 16 interfaces, 16 addresses and 8 name servers are accepted")
        }
        for interface in settings.interfaces where !isHardwareAddress(interface) {
            throw refuse("interface '\(interface)' is not a hardware address such as 52:54:00:12:34:56")
        }
        for address in settings.addresses where !IPAddress.isPrefixed(address) {
            throw refuse("address '\(address)' is not an address with a prefix length such as 192.0.2.7/24")
        }
        if let gateway = settings.gateway, IPAddress.version(gateway) == nil {
            throw refuse("gateway '\(gateway)' is not an IP address")
        }
        for server in settings.nameServers where IPAddress.version(server) == nil {
            throw refuse("name server '\(server)' is not an IP address")
        }
        if !settings.dhcp && settings.addresses.isEmpty {
            throw refuse("neither dhcp nor an address is given")
        }
        if let vlan = settings.vlan, !(1...4094).contains(vlan) {
            throw refuse("vlan \(vlan) is not between 1 and 4094")
        }
        if let mode = settings.bondMode {
            guard bondModes.contains(mode) else {
                throw refuse("bond mode '\(mode)' is not one of \(bondModes.joined(separator: ", "))")
            }
            guard !settings.interfaces.isEmpty else {
                throw refuse("a bond needs the hardware addresses of its interfaces")
            }
        }
        if let proxy = settings.proxy, !isProxy(proxy) {
            throw refuse("proxy '\(proxy)' is not an http:// or https:// address")
        }
        return settings
    }

    static func isHardwareAddress(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 6 && parts.allSatisfy { $0.utf8.count == 2 && UInt8($0, radix: 16) != nil }
    }

    static func isProxy(_ text: String) -> Bool {
        (text.hasPrefix("http://") || text.hasPrefix("https://")) && text.utf8.count <= 512
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}

/// Textual IP addresses, as far as settings need to be checked before they reach a program's arguments or a file.
public enum IPAddress {
    /// 4 or 6, or nil where the text is no address.
    public static func version(_ text: some StringProtocol) -> Int? {
        if isV4(text) { return 4 }
        return isV6(text) ? 6 : nil
    }

    /// Whether the text is an address with a prefix length.
    public static func isPrefixed(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let version = version(parts[0]), let length = Int(parts[1]) else { return false }
        return (0...(version == 4 ? 32 : 128)).contains(length)
    }

    /// The prefix length of a dotted netmask, or nil where its bits are not contiguous.
    public static func prefixLength(netmask: String) -> Int? {
        guard isV4(netmask) else { return nil }
        let bits = netmask.split(separator: ".").compactMap { UInt32($0) }.reduce(UInt32(0)) { $0 << 8 | $1 }
        let length = (~bits).leadingZeroBitCount
        let expected: UInt32 = length == 0 ? 0 : UInt32.max << UInt32(32 - length)
        return bits == expected ? length : nil
    }

    private static func isV4(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                part.utf8.count <= 3 && part.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(part) != nil
            }
    }

    /// RFC 4291 section 2.2, without the form that ends in a dotted IPv4 address.
    private static func isV6(_ text: some StringProtocol) -> Bool {
        guard text.contains(":"), text.utf8.count <= 39 else { return false }
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        var isShortened = false
        var count = 0
        for (index, group) in groups.enumerated() {
            if group.isEmpty {
                // "::" splits into one empty group in the middle, and two at either end.
                let isAtEnd = index == 0 || index == groups.count - 1
                let neighbour = index == 0 ? 1 : index - 1
                if isAtEnd {
                    guard groups.indices.contains(neighbour), groups[neighbour].isEmpty else { return false }
                } else {
                    guard !isShortened else { return false }
                    isShortened = true
                }
            } else {
                guard group.utf8.count <= 4, UInt16(group, radix: 16) != nil else { return false }
                count += 1
            }
        }
        return isShortened ? count < 8 : count == 8
    }
}
