import Contract
import Cryptography
import Decisions
import Foundation
import Linux
import Release
import TestSupport
import Testing

@testable import Slots

/// A boot partition becomes bootable only with the very file that the manifest names.
@Suite struct BootFilesTests {
    let folder: Scratch
    let release: TinyRelease
    init() throws {
        folder = try Scratch()
        release = try TinyRelease(root: noise(8 * 4096, seed: 1))
    }

    private func boot(_ name: String) throws -> FileBlockDevice { try folder.device(name, 40 << 20) }

    @Test func theImageIsOnEveryTargetAndNamesItsRoot() throws {
        let targets = try ["a", "b"].map { BootTarget(device: try boot($0), path: BootNames.slotPath) }
        try release.writer().writeFile(.uki, to: targets)
        for target in targets {
            #expect(try SlotVerifier.digest(of: target.path, on: target.device).sha256 == release.manifest.uki.sha256)
            let found = try SlotVerifier.describe(target.device)
            #expect(found.image == BootArguments.SlotImage(release.manifest))
            #expect(found.architecture == .amd64)
        }
        #expect(outcome(of: ["fsck.fat", "-n", folder.path + "/a"]).status == 0)
    }

    @Test func otherFilesStandBesideIt() throws {
        let target = BootTarget(
            device: try boot("r"), path: BootNames.recoveryPath(.amd64), others: [("apus.json", Array("{}".utf8))])
        try release.writer().writeFile(.boot, to: [target])
        let volume = try FATVolume(target.device)
        #expect(try volume.readFile(target.path, limitBytes: 1 << 20) == release.boot)
        #expect(try volume.readFile("apus.json", limitBytes: 10) == Array("{}".utf8))
        #expect(throws: SlotError.self) { try SlotVerifier.describe(target.device, path: target.path) }
    }

    @Test func framesThatAnotherPartitionHoldsAreCopied() throws {
        let a = try boot("a")
        try release.writer().writeFile(.uki, to: [BootTarget(device: a, path: BootNames.slotPath)])
        let donor = BootDonor(device: a, path: BootNames.slotPath, kind: .uki)
        let same = try release.writer(MemoryPackSource([])).writeFile(
            .uki, to: [BootTarget(device: boot("b"), path: BootNames.slotPath)], reusing: [donor])
        #expect(same.fetchedBytes == 0)
        let recovery = try release.writer().writeFile(
            .boot, to: [BootTarget(device: boot("r"), path: BootNames.recoveryPath(.amd64))], reusing: [donor])
        #expect(recovery.reusedBytes > 0)
        #expect(recovery.reusedBytes + UInt64(TinyRelease.otherFrame) * 2 > recovery.totalBytes)
        // A donor with another file is passed over.
        var bytes = try a.readBytes(at: 1 << 20, count: 512)
        bytes[0] ^= 1
        try bytes.withUnsafeBytes { try a.write($0, at: 1 << 20) }
        try release.writer().writeFile(
            .uki, to: [BootTarget(device: boot("b"), path: BootNames.slotPath)], reusing: [donor])
    }

    private func refused(_ release: TinyRelease) throws -> SlotError? {
        let device = try boot("refused")
        try FATWriter.write([("EFI/apus/apus.efi", [1])], to: device)
        let error = #expect(throws: SlotError.self) {
            try release.writer().writeFile(.uki, to: [BootTarget(device: device, path: BootNames.slotPath)])
        }
        #expect(throws: FATError.self) { try FATVolume(device) }
        return error
    }

    @Test func anImageOfAnotherRootIsNotMadeBootable() throws {
        let other = try TinyRelease(root: noise(8 * 4096, seed: 1), ukiFor: Digest256(hashing: [1]))
        guard case .foreignImage = try refused(other) else { return #expect(Bool(false)) }
    }

    @Test func anImageForAnotherArchitectureIsNotMadeBootable() throws {
        let other = try TinyRelease(root: noise(8 * 4096, seed: 1), machine: 0xaa64)
        guard case .foreignImage = try refused(other) else { return #expect(Bool(false)) }
    }

    @Test func anImageThatIsNotTheManifestsIsNotMadeBootable() throws {
        var other = try TinyRelease(root: noise(8 * 4096, seed: 1))
        other.manifest.uki.sha256 = Digest256(hashing: [2])
        guard case .fileDiffers = try refused(other) else { return #expect(Bool(false)) }
    }

    @Test func everyPowerCutLeavesNothingBootableOrAllOfIt() throws {
        let device = try boot("cut")
        for writes in 0..<100 {
            let cut = CutDevice(device, fuse: CutDevice.Fuse(writes))
            let result = Result {
                try release.writer().writeFile(.uki, to: [BootTarget(device: cut, path: BootNames.slotPath)])
            }
            try cut.losePower()
            let found = try? SlotVerifier.digest(of: BootNames.slotPath, on: device).sha256
            if case .success = result { return #expect(found == release.manifest.uki.sha256) }
            #expect(found == nil || found == release.manifest.uki.sha256)
        }
        Issue.record("it never ended")
    }
}
