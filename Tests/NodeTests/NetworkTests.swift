import Contract
import Node
import Testing

@Suite struct NetworkArgumentTests {
    @Test func staticAddressWithVLANAndBond() throws {
        let settings = try NetworkArgument.parse(
            "address=192.0.2.7/24,gateway=192.0.2.1,dns=192.0.2.53,dns=192.0.2.54,vlan=12,bond=802.3ad,"
                + "interface=52:54:00:12:34:56,interface=52:54:00:AA:BB:CC,proxy=http://192.0.2.9:3128")
        #expect(
            settings
                == NetworkSettings(
                    interfaces: ["52:54:00:12:34:56", "52:54:00:aa:bb:cc"], dhcp: false, addresses: ["192.0.2.7/24"],
                    gateway: "192.0.2.1", nameServers: ["192.0.2.53", "192.0.2.54"], vlan: 12, bondMode: "802.3ad",
                    proxy: "http://192.0.2.9:3128"))
    }

    @Test func dhcpAlone() throws {
        #expect(try NetworkArgument.parse("dhcp") == NetworkSettings())
    }

    @Test(arguments: [
        ("address=192.0.2.7", "address '192.0.2.7' is not an address with a prefix length"),
        ("address=192.0.2.7/33", "address '192.0.2.7/33'"), ("address=192.0.2.256/24", "address"),
        ("dhcp,vlan=0", "vlan 0"), ("dhcp,vlan=x", "vlan 'x'"), ("dhcp,bond=loud", "bond mode 'loud'"),
        ("dhcp,bond=802.3ad", "hardware addresses"), ("dhcp,interface=eth0", "interface 'eth0'"),
        ("gateway=192.0.2.1", "neither dhcp nor an address"), ("dhcp,colour=red", "'colour' is not one of"),
        ("dhcp,proxy=ftp://x", "proxy"), ("dhcp,dns=example.org", "name server"), ("dhcp,gateway=-A", "gateway"),
        ("dhcp,=", "'' is not one of"), ("=dhcp", "'' is not one of"),
    ])
    func wrongWordIsNamed(text: String, part: String) {
        let error = #expect(throws: NodeError.self) { try NetworkArgument.parse(text) }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: ["::1", "2001:db8::7", "fe80::", "::", "1:2:3:4:5:6:7:8", "1::8"])
    func goodIPv6(text: String) { #expect(IPAddress.version(text) == 6) }

    @Test(arguments: [
        "1:2:3:4:5:6:7", ":1", "1:", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "x::", "1:2:3:4:5:6:7::8",
    ])
    func badIPv6(text: String) { #expect(IPAddress.version(text) == nil) }

    @Test func netmasks() {
        #expect(IPAddress.prefixLength(netmask: "255.255.255.0") == 24)
        #expect(IPAddress.prefixLength(netmask: "255.255.255.255") == 32)
        #expect(IPAddress.prefixLength(netmask: "0.0.0.0") == 0)
        #expect(IPAddress.prefixLength(netmask: "255.0.255.0") == nil)
    }
}

@Suite struct LeaseTests {
    let environment = [
        "interface": "eth0", "ip": "10.0.0.7", "subnet": "255.255.240.0", "router": "10.0.0.1 10.0.0.2",
        "dns": "10.0.0.53 not-an-address", "lease": "3600",
        "opt224": "68747470733a2f2f617075732e6578616d706c653a3834343300",
    ]

    @Test func udhcpcVariables() throws {
        let lease = try #require(Lease(environment: environment))
        #expect(lease.address == "10.0.0.7/20")
        #expect(lease.routers == ["10.0.0.1", "10.0.0.2"])
        #expect(lease.nameServers == ["10.0.0.53"])
        #expect(lease.endpoint == "https://apus.example:8443")
        #expect(lease.leaseSeconds == 3600)
    }

    @Test func survivesItsFile() throws {
        let lease = try #require(Lease(environment: environment))
        #expect(Lease(encoded: lease.encoded) == lease)
        #expect(Lease(encoded: "interface=eth0") == nil)
    }

    @Test func hostileOptionsAreDropped() {
        var hostile = environment
        hostile["opt224"] = "0a0d68"
        #expect(Lease(environment: hostile)?.endpoint == nil)
        hostile["ip"] = "10.0.0.7; reboot"
        #expect(Lease(environment: hostile) == nil)
        hostile["ip"] = "10.0.0.7"
        hostile["interface"] = "../x"
        #expect(Lease(environment: hostile) == nil)
    }
}

@Suite struct NetworkdFilesTests {
    @Test func settingsThatWorkedAreKept() {
        let files = NetworkdFiles.render(
            NetworkSettings(
                interfaces: ["52:54:00:12:34:56"], dhcp: false, addresses: ["192.0.2.7/24"], gateway: "192.0.2.1",
                nameServers: ["192.0.2.53"]))
        #expect(
            files == [
                NetworkdFiles.File(
                    name: "10-apus.network",
                    text: """
                        [Match]
                        PermanentMACAddress=52:54:00:12:34:56

                        [Network]
                        DHCP=no
                        Address=192.0.2.7/24
                        Gateway=192.0.2.1
                        DNS=192.0.2.53

                        """)
            ])
    }

    @Test func bondUnderVLAN() {
        let files = NetworkdFiles.render(
            NetworkSettings(
                interfaces: ["52:54:00:12:34:56", "52:54:00:12:34:57"], dhcp: true, vlan: 7, bondMode: "active-backup"))
        #expect(
            files.map(\.name) == [
                "10-apus-bond.netdev", "10-apus-members.network", "10-apus-vlan.netdev", "10-apus-carrier.network",
                "10-apus.network",
            ])
        #expect(files[0].text.contains("Mode=active-backup"))
        #expect(files[1].text.contains("PermanentMACAddress=52:54:00:12:34:56 52:54:00:12:34:57"))
        #expect(files[3].text.contains("Name=bond0") && files[3].text.contains("VLAN=vlan7"))
        #expect(files[4].text.contains("Name=vlan7") && files[4].text.contains("DHCP=yes"))
    }

    @Test func withoutSettingsEveryCardAsksDHCP() {
        #expect(NetworkdFiles.render(nil).first?.text.contains("DHCP=yes") == true)
    }
}
