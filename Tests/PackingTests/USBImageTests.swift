import Contract
import Foundation
import Packing
import TestSupport
import Testing

@Suite(.ownThreads) struct USBImageTests {
    static let site = SiteTrust(
        endpoint: "https://apus.example:8443", caCertificate: nil, releaseKeys: [], threshold: 1, token: "join",
        network: nil, clockFloorSeconds: 0)

    /// `sfdisk`, `mcopy` and `fsck.fat` read the image as firmware and Linux would.
    @Test func otherToolsReadTheStick() throws {
        let fixture = try PackingFixture()
        let artifact = noise(3_000_001, seed: 1)
        let path = try fixture.write("boot.efi", artifact)
        let stick = fixture.path("stick.img")
        try USBImage.write(artifact: path, site: Self.site, architecture: .amd64, output: stick)

        let verified = outcome(of: ["/usr/sbin/sfdisk", "--verify", stick])
        #expect(verified.succeeded && !verified.output.contains("mismatch"), "\(verified.output)")
        let table = outcome(of: ["/usr/sbin/sfdisk", "--dump", stick]).output
        #expect(table.contains("label: gpt") && table.contains("start=        2048"), "\(table)")
        #expect(table.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") && table.contains("apus-boot-stick"))

        let bytes = try fixture.read("stick.img")
        let partition = try fixture.write("partition", Array(bytes[(1 << 20)..<(bytes.count - (1 << 20))]))
        #expect(outcome(of: ["/usr/sbin/fsck.fat", "-n", partition]).succeeded)
        #expect(
            outcome(of: ["/usr/bin/mcopy", "-i", partition, "::/EFI/BOOT/BOOTX64.EFI", fixture.path("got")]).succeeded)
        #expect(try fixture.read("got") == artifact)
        #expect(outcome(of: ["/usr/bin/mcopy", "-i", partition, "::/apus.json", fixture.path("json")]).succeeded)
        #expect(try Wire.decode(SiteTrust.self, from: try fixture.read("json")) == Self.site)
        let attributes = try FileManager.default.attributesOfItem(atPath: stick)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test func equalContentsGiveEqualSticks() throws {
        let fixture = try PackingFixture()
        let path = try fixture.write("boot.efi", noise(10_000, seed: 1))
        for name in ["one", "two"] {
            try USBImage.write(artifact: path, site: nil, architecture: .arm64, output: fixture.path(name))
        }
        #expect(try fixture.read("one") == fixture.read("two"))
        let left = try FileManager.default.contentsOfDirectory(atPath: fixture.scratch.path).sorted()
        #expect(left == ["boot.efi", "one", "two"])
    }

    @Test func withoutAnArtifactThereIsNoStick() throws {
        let fixture = try PackingFixture()
        for path in [fixture.path("missing"), try fixture.write("empty", [])] {
            #expect(throws: PackingError.self) {
                try USBImage.write(artifact: path, site: nil, architecture: .amd64, output: fixture.path("stick"))
            }
        }
        #expect(!FileManager.default.fileExists(atPath: fixture.path("stick")))
    }
}
