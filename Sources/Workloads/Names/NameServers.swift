/// A server that the node asks for names.
public struct NameServer: Sendable, Hashable, CustomStringConvertible {
    /// Its address.
    public let address: NetworkAddress
    /// The interface that a link-local address belongs to; nil for all others.
    public let zone: String?

    /// Servers of one file that are used.
    public static let countLimit = 4

    /// Makes a server.
    public init(address: NetworkAddress, zone: String? = nil) {
        self.address = address
        self.zone = zone
    }

    /// Reads `192.0.2.1`, `2001:db8::1` or `fe80::1%eth0`; nil for anything else.
    init?(_ text: Substring) {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = NetworkAddress(first) else { return nil }
        self.address = address
        zone = parts.count == 2 ? String(parts[1]) : nil
        // The longest name of an interface has 15 bytes (netdevice(7), IFNAMSIZ).
        guard let zone else { return }
        let isName = zone.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x2F }
        guard !address.isVersion4, (1...15).contains(zone.utf8.count), isName else { return nil }
    }

    /// The address, with its interface.
    public var description: String { "\(address)" + (zone.map { "%\($0)" } ?? "") }

    /// The servers in a file of the form of resolv.conf(5), in order and each once. Everything else in it is left out.
    public static func list(in file: [UInt8]) -> [NameServer] {
        var servers: [NameServer] = []
        for line in file.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            let words = line.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
            guard words.count >= 2, words[0].elementsEqual("nameserver".utf8), words[1].count <= 64,
                let server = NameServer(Substring(String(decoding: words[1], as: UTF8.self))),
                !servers.contains(server)
            else { continue }
            servers.append(server)
            if servers.count == countLimit { break }
        }
        return servers
    }
}
