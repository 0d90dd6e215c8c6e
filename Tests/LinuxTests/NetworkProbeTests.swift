import Testing

@testable import Linux

@Suite struct NetworkProbeTests {
    @Test func theDefaultGatewayIsReadFromTheRoutingTable() {
        let table = """
            Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
            eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
            eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
            """
        #expect(NetworkProbe.gateway(inRoutes: table) == "10.0.2.2")
        #expect(NetworkProbe.gateway(inRoutes: "Iface\njunk\n00000000 zz zz zz\n") == nil)
    }

    @Test func onlyACompleteNeighbourCounts() {
        let table = """
            IP address       HW type     Flags       HW address            Mask     Device
            10.0.2.2         0x1         0x2         52:55:0a:00:02:02     *        eth0
            10.0.2.3         0x1         0x0         00:00:00:00:00:00     *        eth0
            """
        #expect(NetworkProbe.isComplete("10.0.2.2", inNeighbours: table))
        #expect(!NetworkProbe.isComplete("10.0.2.3", inNeighbours: table))
        #expect(!NetworkProbe.isComplete("10.0.2.4", inNeighbours: table))
    }

    @Test func aClosedPortSaysWhy() {
        #expect(NetworkProbe.refusal(host: "127.0.0.1", port: 1, timeoutSeconds: 5) == "Connection refused")
    }
}
