import Contract
import Cryptography
import Foundation
import Packing
import Release
import Testing

@Suite struct KeyFileTests {
    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func aKeyIsMadeOnceAndReadByItsOwnerOnly() throws {
        let fixture = try PackingFixture()
        let path = fixture.path("keys/release.pem")
        let made = try KeyFile.loadOrCreate(path)
        #expect(try mode(path) == 0o600)
        #expect(try KeyFile.loadOrCreate(path).publicKey == made.publicKey)
        let files = try FileManager.default.contentsOfDirectory(atPath: fixture.path("keys")).sorted()
        #expect(files == ["release.pem", "release.pem.pub"])
        let published = try Wire.decode(ReleaseKey.self, from: try fixture.read("keys/release.pem.pub"))
        #expect(try published.publicKey() == made.publicKey)
    }

    @Test func aKeyThatOthersCanReadIsRefused() throws {
        let fixture = try PackingFixture()
        let path = fixture.path("release.pem")
        _ = try KeyFile.loadOrCreate(path)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let error = try #require(throws: PackingError.self) { try KeyFile.loadOrCreate(path) }
        #expect(error.description.contains("chmod 600"))
    }

    @Test func whatIsNoKeyIsNeverReplaced() throws {
        let fixture = try PackingFixture()
        let path = try fixture.write("release.pem", Array("not a key".utf8))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        #expect(throws: PackingError.self) { try KeyFile.loadOrCreate(path) }
        #expect(try fixture.read("release.pem") == Array("not a key".utf8))
    }
}
