import Linux
import TestSupport
import Testing

/// Sockets on the loopback interface.
@Suite(.ownThreads) struct NetworkSockets {
    /// A listener at a free port.
    static func listen(isStream: Bool) throws -> (socket: NetworkSocket, place: NetworkEndpoint) {
        for _ in 0..<100 {
            let place = NetworkEndpoint(address: [127, 0, 0, 1], port: UInt16.random(in: 20_000...60_000))
            if let socket = try? NetworkSocket(listeningAt: place, interface: "lo", isStream: isStream) {
                return (socket, place)
            }
        }
        throw SystemError("find", "a free port", code: 98)
    }

    static func wait(_ socket: NetworkSocket, isForWriting: Bool = false) -> Bool {
        NetworkSocket.wait([(socket.descriptor, isForWriting)], milliseconds: 60_000) == [true]
    }

    @Test func datagramsGoBothWaysAndNobodyElseIsHeard() throws {
        let (server, place) = try Self.listen(isStream: false)
        let client = try NetworkSocket(connectingTo: place, zone: nil, isStream: false)
        if case .later = server.receiveDatagram(limit: 8) {} else { Issue.record("something came from nowhere") }
        #expect(client.send([1, 2, 3]) && Self.wait(server))
        guard case .done(let (bytes, peer)) = server.receiveDatagram(limit: 2) else {
            Issue.record("nothing came")
            return
        }
        #expect(bytes == [1, 2] && peer.address == [127, 0, 0, 1])
        // From another port than the one that it speaks with, and then from that one.
        let (other, _) = try Self.listen(isStream: false)
        #expect(other.send([9], to: peer) && server.send([4], to: peer) && Self.wait(client))
        guard case .done(let (answer, _)) = client.receiveDatagram(limit: 8) else {
            Issue.record("nothing came back")
            return
        }
        #expect(answer == [4])
    }

    @Test func aConnectionIsMadeWithoutWaitingAndSaysThatItEnded() throws {
        let (server, place) = try Self.listen(isStream: true)
        #expect(server.accept() == nil)
        let client = try NetworkSocket(connectingTo: place, zone: nil, isStream: true)
        #expect(Self.wait(client, isForWriting: true) && client.send([1]) && Self.wait(server))
        var accepted = server.accept()?.connection
        guard let connection = accepted, Self.wait(connection), case .done([1]) = connection.read(limit: 8) else {
            Issue.record("the byte did not come")
            return
        }
        #expect(connection.send([2]) && Self.wait(client))
        if case .done([2]) = client.read(limit: 8) {} else { Issue.record("the answer did not come") }
        _ = consume connection
        accepted = nil
        #expect(Self.wait(client))
        if case .gone = client.read(limit: 8) {} else { Issue.record("the end was not told") }
    }

    @Test func whatCannotBeIsAnErrorAndNotACrash() throws {
        let nowhere = NetworkEndpoint(address: [127, 0, 0, 1, 5], port: 1)
        #expect(throws: SystemError.self) {
            try NetworkSocket(listeningAt: nowhere, interface: "lo", isStream: false)
        }
        #expect(throws: SystemError.self) {
            try NetworkSocket(connectingTo: nowhere, zone: nil, isStream: false)
        }
        let local = NetworkEndpoint(address: [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1], port: 53)
        #expect(throws: SystemError.self) {
            try NetworkSocket(connectingTo: local, zone: "no-such-if", isStream: false)
        }
        #expect(try NetworkSocket.ownAddresses().contains([127, 0, 0, 1]))
        #expect(NetworkSocket.wait([], milliseconds: 0).isEmpty)
    }
}
