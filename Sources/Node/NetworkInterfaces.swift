internal import Linux

/// A physical Ethernet interface as sysfs shows it (Documentation/ABI/testing/sysfs-class-net).
public struct PhysicalInterface: Sendable, Equatable {
    /// The kernel's name for it.
    public var name: String
    /// Its address in lower case; the permanent one where the driver tells.
    public var address: String
    /// Whether there is a carrier; known only once it is up.
    public var hasCarrier: Bool

    /// Describes an interface.
    public init(name: String, address: String, hasCarrier: Bool) {
        self.name = name
        self.address = address
        self.hasCarrier = hasCarrier
    }

    /// All physical Ethernet interfaces, by name. `root` is where `/sys` lies below.
    public static func all(root: String = "") -> [PhysicalInterface] {
        let folder = root + "/sys/class/net"
        let names = (try? Files.list(folder, limit: 1024)) ?? []
        return names.compactMap { name -> PhysicalInterface? in
            let path = folder + "/" + name
            // A bond, bridge, VLAN or loopback has no device behind it; type 1 is Ethernet (if_arp.h).
            guard Files.exists(path + "/device"), (try? Files.readText(path + "/type")) == "1" else { return nil }
            let address = (try? Files.readText(path + "/address")) ?? ""
            let carrier = (try? Files.readText(path + "/carrier")) == "1"
            return PhysicalInterface(name: name, address: address.lowercased(), hasCarrier: carrier)
        }.sorted { $0.name < $1.name }
    }
}

/// Which interfaces one attempt uses, and in which order the attempts are made.
public enum InterfaceChoice {
    /// The interfaces to try, each alone or, for a bond, all together.
    ///
    /// Those with a carrier come first. Interfaces that the settings name and that are missing are an error for a bond
    /// and otherwise passed over, as the others may do.
    /// - Throws: `NodeError` that says what is missing.
    public static func attempts(
        wanted: [String], bond: Bool, among found: [PhysicalInterface]
    ) throws(NodeError) -> [[PhysicalInterface]] {
        guard !found.isEmpty else {
            throw NodeError(
                "no Ethernet interface: the machine has none, or the boot artifact lacks its driver or firmware file")
        }
        guard !wanted.isEmpty else { return carriersFirst(found).map { [$0] } }
        let named = wanted.compactMap { address in found.first { $0.address == address } }
        let missing = wanted.filter { address in !found.contains { $0.address == address } }
        let have = found.map { "\($0.name) (\($0.address))" }.joined(separator: ", ")
        if named.isEmpty || (bond && !missing.isEmpty) {
            throw NodeError(
                "no interface has the address \(missing.joined(separator: ", ")) that the settings name; "
                    + "this machine has \(have)")
        }
        return bond ? [named] : carriersFirst(named).map { [$0] }
    }

    private static func carriersFirst(_ interfaces: [PhysicalInterface]) -> [PhysicalInterface] {
        interfaces.filter(\.hasCarrier) + interfaces.filter { !$0.hasCarrier }
    }
}
