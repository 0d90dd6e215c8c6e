public import Contract

/// Which interfaces one attempt uses, and in which order the attempts are made.
public enum InterfaceChoice {
    /// The interfaces to try, each alone or, for a bond, all together.
    ///
    /// Those with a carrier come first. Interfaces that the settings name and that are missing are an error for a bond
    /// and otherwise passed over, as the others may do.
    /// - Throws: `NodeError` that says what is missing.
    public static func attempts(
        wanted: [String], bond: Bool, among found: [Inventory.NetworkInterface]
    ) throws(NodeError) -> [[Inventory.NetworkInterface]] {
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

    private static func carriersFirst(_ found: [Inventory.NetworkInterface]) -> [Inventory.NetworkInterface] {
        found.filter(\.hasLink) + found.filter { !$0.hasLink }
    }
}
