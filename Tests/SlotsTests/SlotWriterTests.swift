import Contract
import Decisions
import Fetch
import Foundation
import Linux
import Release
import TestSupport
import Testing

@testable import Slots

/// What arrives is verified before it is written, and what is there is found again.
@Suite(.ownThreads) struct SlotWriterTests {
    let folder: Scratch
    init() throws { folder = try Scratch() }

    /// 40 blocks of noise, 8 of zeros, 16 of text.
    static func root(seed: UInt64 = 1) -> [UInt8] {
        noise(40 * 4096, seed: seed) + [UInt8](repeating: 0, count: 8 * 4096)
            + Array(String(repeating: "The bird that never touches the ground. ", count: 1639).utf8.prefix(16 * 4096))
    }

    private func rootBytes(_ slot: SlotPartitions, _ release: TinyRelease) throws -> [UInt8] {
        try slot.root.readBytes(at: 0, count: release.root.count)
    }

    @Test(arguments: [512, 4096]) func oneDownloadFillsBothSlots(sector: Int) throws {
        let release = try TinyRelease(root: Self.root())
        let slots = try ["a", "b"].map { name in
            SlotPartitions(
                name: name, root: try folder.device("root-\(name)", 1 << 20, sector: sector),
                tree: try folder.device("tree-\(name)", 1 << 20, sector: sector))
        }
        let source = MemoryPackSource(release.pack)
        var last = SlotProgress(phase: .tree)
        let report = try release.writer(source).write(into: slots) { last = $0 }
        for slot in slots {
            #expect(try rootBytes(slot, release) == release.root)
            try SlotVerifier.verify(slot, holds: BootArguments.SlotImage(release.manifest))
            try SlotVerifier.verifyQuickly(slot, holds: BootArguments.SlotImage(release.manifest))
        }
        #expect(last.doneBytes == UInt64(release.root.count))
        #expect(report.fetchedBytes <= release.manifest.packBytes)
        #expect(report.reusedBytes == 8 * 4096, "zeros need not be fetched")
        // Tree, and root behind UKI and boot artifact: two requests.
        #expect(source.ranges.count == 2)
    }

    @Test func veritysetupAgrees() throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/sbin/veritysetup") else { return }
        let release = try TinyRelease(root: Self.root())
        _ = try release.writer().write(into: [slot(folder, "a")])
        let result = outcome(
            of: ["veritysetup", "verify", folder.path + "/root-a", folder.path + "/tree-a", "\(release.tree.rootHash)"])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func everyPowerCutIsFollowedByAResumeThatFetchesLess() throws {
        let release = try TinyRelease(root: Self.root())
        let image = BootArguments.SlotImage(release.manifest)
        var fetched: [UInt64] = []
        for writes in 0..<200 {
            let plain = try slot(folder, "\(writes)", rootBytes: 1 << 20)
            let fuse = CutDevice.Fuse(writes)
            let root = CutDevice(plain.root, fuse: fuse)
            let tree = CutDevice(plain.tree, fuse: fuse)
            let result = Result {
                try release.writer().write(into: [SlotPartitions(name: "cut", root: root, tree: tree)])
            }
            try root.losePower()
            try tree.losePower()
            if (try? SlotVerifier.verify(plain, holds: image)) == nil, case .success = result {
                Issue.record("a write that returned was not durable")
            }
            let resumed = try release.writer().write(into: [plain])
            try SlotVerifier.verify(plain, holds: image)
            fetched.append(resumed.fetchedBytes)
            if case .success = result { break }
        }
        #expect(fetched.count > 5)
        #expect(fetched.last == 0)
        let half = try #require(fetched.dropFirst(fetched.count / 2).first)
        #expect(half < fetched[0])
    }

    @Test func blocksOfTheRunningSlotAreCopiedInsteadOfFetched() throws {
        let old = try TinyRelease(root: Self.root())
        // Everything moves by three blocks; one frame's worth in the middle is new.
        var bytes = noise(3 * 4096, seed: 50) + old.root.dropLast(3 * 4096)
        bytes.replaceSubrange(20 * 4096..<24 * 4096, with: noise(4 * 4096, seed: 51))
        let new = try TinyRelease(root: bytes, version: "2")
        let running = try slot(folder, "a")
        let target = try slot(folder, "b")
        _ = try old.writer().write(into: [running])
        let before = try rootBytes(running, old)
        let donor = try SlotDonor(running, image: BootArguments.SlotImage(old.manifest))
        let report = try new.writer().write(into: [target], reusing: [donor])
        try SlotVerifier.verify(target, holds: BootArguments.SlotImage(new.manifest))
        #expect(try rootBytes(running, old) == before)
        let whole = try new.writer().write(into: [slot(folder, "c")])
        #expect(report.fetchedBytes * 2 < whole.fetchedBytes)
        #expect(report.reusedBytes == UInt64(new.root.count) - 8 * 4096)
    }

    @Test func aDonorWithRottenBlocksCostsADownloadOnly() throws {
        let old = try TinyRelease(root: Self.root())
        let running = try slot(folder, "a")
        _ = try old.writer().write(into: [running])
        let donor = try SlotDonor(running, image: BootArguments.SlotImage(old.manifest))
        try noise(4096, seed: 77).withUnsafeBytes { try running.root.write($0, at: 5 * 4096) }
        let target = try slot(folder, "b")
        let report = try old.writer().write(into: [target], reusing: [donor])
        try SlotVerifier.verify(target, holds: BootArguments.SlotImage(old.manifest))
        #expect(report.fetchedBytes > 0)
    }

    @Test func theSameReleaseFromTheRunningSlotFetchesNothing() throws {
        let release = try TinyRelease(root: Self.root())
        let running = try slot(folder, "a")
        _ = try release.writer().write(into: [running])
        let donor = try SlotDonor(running, image: BootArguments.SlotImage(release.manifest))
        let source = MemoryPackSource([])
        let target = try slot(folder, "b")
        #expect(try release.writer(source).write(into: [target], reusing: [donor]).fetchedBytes == 0)
        try SlotVerifier.verify(target, holds: BootArguments.SlotImage(release.manifest))
    }

    @Test func aTargetThatIsTooSmallIsRefusedBeforeAnythingIsWritten() throws {
        let release = try TinyRelease(root: Self.root())
        let small = SlotPartitions(
            name: "slot A", root: try folder.device("r", 64 << 10), tree: try folder.device("t", 1 << 20))
        let expected = SlotError.tooSmall(partition: "slot A root", sizeBytes: 64 << 10, neededBytes: 64 * 4096)
        #expect(throws: expected) { try release.writer().write(into: [small]) }
    }

    @Test func aBlockThatRotsAfterwardsIsFound() throws {
        let release = try TinyRelease(root: Self.root())
        let slot = try slot(folder, "a")
        _ = try release.writer().write(into: [slot])
        var block = try slot.root.readBytes(at: 33 * 4096, count: 4096)
        block[4000] ^= 0x10
        try block.withUnsafeBytes { try slot.root.write($0, at: 33 * 4096) }
        let image = BootArguments.SlotImage(release.manifest)
        #expect(throws: SlotError.readBack("slot a root", block: 33)) { try SlotVerifier.verify(slot, holds: image) }
        try SlotVerifier.verifyQuickly(slot, holds: image)
        try noise(4096, seed: 1).withUnsafeBytes { try slot.tree.write($0, at: 0) }
        #expect(throws: SlotError.self) { try SlotVerifier.verifyQuickly(slot, holds: image) }
    }
}
