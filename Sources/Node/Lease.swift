import Contract

/// What a DHCP client was given, as busybox's `udhcpc` passes it to its script: in environment variables.
///
/// The script is this program itself; it writes the lease to a file, which the waiting program reads.
public struct Lease: Sendable, Equatable {
    /// The interface.
    public var interface: String
    /// The address with its prefix length.
    public var address: String
    /// Routers, the first of which becomes the default gateway.
    public var routers: [String]
    /// Name servers.
    public var nameServers: [String]
    /// The site's option 224: the provisioning endpoint's URL.
    public var endpoint: String?
    /// How long the lease holds, in seconds.
    public var leaseSeconds: Int?

    /// The DHCP option that carries the endpoint: in the range for sites (RFC 3942).
    public static let endpointOption = 224

    /// Reads a lease from `udhcpc`'s variables; nil where they hold no usable address.
    ///
    /// They come from the network: each is checked and cut to a bound before it is used.
    public init?(environment: [String: String]) {
        guard let interface = environment["interface"], Lease.isInterfaceName(interface),
            let ip = environment["ip"], IPAddress.version(ip) == 4
        else { return nil }
        let mask = environment["mask"].flatMap(Int.init) ?? environment["subnet"].flatMap(IPAddress.prefixLength)
        let length = mask.flatMap { (1...32).contains($0) ? $0 : nil } ?? 24
        func addresses(_ name: String) -> [String] {
            (environment[name] ?? "").split(separator: " ").prefix(8).map(String.init)
                .filter { IPAddress.version($0) == 4 }
        }
        self.interface = interface
        address = "\(ip)/\(length)"
        routers = addresses("router")
        nameServers = addresses("dns")
        endpoint = environment["opt\(Lease.endpointOption)"].flatMap(Lease.text(ofOption:))
        leaseSeconds = environment["lease"].flatMap(Int.init)
    }

    /// An option that `udhcpc` does not know arrives as hexadecimal digits of its bytes, which are text here.
    static func text(ofOption digits: String) -> String? {
        guard digits.utf8.count <= 510, var bytes = [UInt8](lowercaseHex: digits.lowercased()) else { return nil }
        while bytes.last == 0 { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func isInterfaceName(_ text: String) -> Bool {
        (1...15).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
            && text != "." && text != ".."
    }
}

extension Lease {
    /// The lease as lines of `name=value`, for the file between the script and the program.
    public var encoded: String {
        var lines = ["interface=\(interface)", "address=\(address)"]
        lines += routers.map { "router=\($0)" }
        lines += nameServers.map { "dns=\($0)" }
        if let endpoint { lines.append("endpoint=\(endpoint)") }
        if let leaseSeconds { lines.append("lease=\(leaseSeconds)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads what `encoded` wrote; nil where the file is not whole.
    public init?(encoded text: String) {
        var values: [String: [String]] = [:]
        for line in text.split(separator: "\n").prefix(64) {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return nil }
            values[parts[0], default: []].append(parts[1])
        }
        guard let interface = values["interface"]?.first, Lease.isInterfaceName(interface),
            let address = values["address"]?.first, IPAddress.isPrefixed(address)
        else { return nil }
        self.interface = interface
        self.address = address
        routers = values["router"] ?? []
        nameServers = values["dns"] ?? []
        endpoint = values["endpoint"]?.first
        leaseSeconds = values["lease"]?.first.flatMap(Int.init)
    }
}
