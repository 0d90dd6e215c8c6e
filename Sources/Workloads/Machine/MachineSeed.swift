/// The seed that cloud-init reads at a machine's first start (cloud-init, "NoCloud"): who it is, its addresses, and the
/// document's user data.
///
/// JSON is YAML, so that no text of a document has to be quoted in a second way.
public struct MachineSeed: Sendable, Hashable {
    /// `meta-data`.
    public var metaData: [UInt8]
    /// `network-config`, version 2; empty without a network.
    public var networkConfig: [UInt8]
    /// `user-data`.
    public var userData: [UInt8]

    /// What stands where the document has no user data.
    static let noUserData = "#cloud-config\n{}\n"

    /// Computes the seed.
    public init(_ input: MachineInput) {
        let name = input.workload.revision.hostname ?? input.workload.name.rawValue
        // A machine is another one once its disk is: its image names it.
        let image = input.workload.revision.image.digest.map { "\($0)".prefix(12) } ?? ""
        metaData =
            DocumentValue.object([
                "instance-id": .string("\(input.workload.name)-\(image)"), "local-hostname": .string(name),
            ]).json + [0x0A]
        networkConfig =
            input.wire.map { wire in
                let names = EgressSets(wire: wire, egress: input.workload.revision.egress)
                return Self.network(wire, asksForNames: names.hasNames).json + [0x0A]
            } ?? []
        userData = Array((input.settings.userData ?? Self.noUserData).utf8)
    }

    /// The wire's addresses by the card's hardware address (cloud-init, "Networking config Version 2").
    ///
    /// - Parameter asksForNames: whether the wire's resolver answers it.
    private static func network(_ wire: NetworkPlan, asksForNames: Bool) -> DocumentValue {
        var card: [String: DocumentValue] = [
            "match": .object(["macaddress": .string(wire.guestMAC)]),
            "dhcp4": .bool(false), "dhcp6": .bool(false), "accept-ra": .bool(false),
            "addresses": .array([.string("\(wire.guestVersion4)/31"), .string("\(wire.guestVersion6)/127")]),
            "routes": .array([
                .object(["to": .string("0.0.0.0/0"), "via": .string("\(wire.hostVersion4)")]),
                .object(["to": .string("::/0"), "via": .string("\(wire.hostVersion6)")]),
            ]),
        ]
        if asksForNames {
            card["nameservers"] = .object(["addresses": .array([.string("\(wire.hostVersion4)")])])
        }
        return .object(["version": .integer(2), "ethernets": .object(["wire": .object(card)])])
    }

    /// The files of the volume.
    var files: [(name: String, bytes: [UInt8])] {
        [("meta-data", metaData), ("user-data", userData)]
            + (networkConfig.isEmpty ? [] : [("network-config", networkConfig)])
    }

    /// The volume that the machine finds by its label.
    public var volume: [UInt8] { SeedVolume.make(files) }
}
