import Foundation
import Linux
import TestSupport
import Testing

@testable import Slots

/// Volumes are what mtools and fsck.fat call sound, and exist only once all of them does.
@Suite(.ownThreads) struct FATTests {
    let folder: Scratch
    init() throws { folder = try Scratch() }

    private func path(_ name: String) -> String { folder.path + "/" + name }

    @Test(arguments: [(512, 40), (512, 288), (512, 512), (4096, 288), (4096, 512)])
    func mtoolsAndFsckReadWhatIsWritten(sector: Int, mebibytes: UInt64) throws {
        let device = try folder.device("fat", mebibytes << 20, sector: sector)
        let files: [(path: String, bytes: [UInt8])] = [
            (#"\EFI\apus\apus.efi"#, noise(300_001, seed: 1)), ("EFI/BOOT/BOOTX64.EFI", noise(65_536, seed: 2)),
            ("apus.json", Array(#"{"format":1}"#.utf8)), ("empty", []), ("apus.jsonx", [1]),
            ("a rather long name with spaces, and more.than one.dot", noise(5000, seed: 3)),
        ]
        try FATWriter.write(files, to: device)
        let check = outcome(of: ["fsck.fat", "-n", "-v", path("fat")])
        #expect(check.status == 0, "\(check.output)")
        let volume = try FATVolume(device)
        for file in files {
            #expect(try volume.readFile(file.path.lowercased(), limitBytes: 1 << 20) == file.bytes)
            let plain = "::" + file.path.replacingOccurrences(of: "\\", with: "/")
            let copied = path("copied")
            let result = outcome(of: ["mcopy", "-n", "-i", path("fat"), plain, copied])
            #expect(result.status == 0, "\(result.output)")
            #expect(try Array(Data(contentsOf: URL(fileURLWithPath: copied))) == file.bytes)
            try FileManager.default.removeItem(atPath: copied)
        }
        #expect(Set(try volume.list()) == ["EFI", "apus.json", "empty", "apus.jsonx", files[5].path])
    }

    @Test func volumesMadeByMkfsAreRead() throws {
        _ = try folder.device("fat", 64 << 20)
        let content = noise(2_000_000, seed: 4)
        try Data(content).write(to: URL(fileURLWithPath: path("content")))
        for command in [
            ["mkfs.fat", "-F", "32", path("fat")], ["mmd", "-i", path("fat"), "::/EFI", "::/EFI/apus"],
            ["mcopy", "-i", path("fat"), path("content"), "::/EFI/apus/filler"],
            ["mcopy", "-i", path("fat"), path("content"), "::/EFI/apus/apus.efi"],
            ["mcopy", "-i", path("fat"), path("content"), "::/A long name.json"],
        ] {
            let result = outcome(of: command)
            #expect(result.status == 0, "\(result.output)")
        }
        let volume = try FATVolume(try folder.device("fat", 0))
        #expect(try volume.readFile("EFI/APUS/APUS.EFI", limitBytes: 4 << 20) == content)
        #expect(try volume.readFile("a long name.json", limitBytes: 4 << 20) == content)
        #expect(throws: FATError.notFound("EFI/none")) { try volume.open("EFI/none") }
        #expect(throws: FATError.tooLarge("'EFI/apus/filler'")) {
            try volume.readFile("EFI/apus/filler", limitBytes: 100)
        }
    }

    @Test func everyPowerCutLeavesNoVolumeOrAWholeOne() throws {
        let old = noise(200_000, seed: 5)
        let new = noise(250_000, seed: 6)
        let device = try folder.device("fat", 34 << 20)
        for writes in 0..<64 {
            try FATWriter.write([("EFI/a.efi", old)], to: device)
            let cut = CutDevice(device, fuse: CutDevice.Fuse(writes))
            let result = Result { try FATWriter.write([("EFI/a.efi", new)], to: cut) }
            try cut.losePower()
            let found = try? FATVolume(device).readFile("EFI/a.efi", limitBytes: 1 << 20)
            if case .success = result {
                #expect(found == new)
                #expect(writes > 8)
                return
            }
            #expect(found == nil || found == new || (writes == 0 && found == old), "after \(writes) writes")
        }
        Issue.record("the volume was never complete")
    }

    @Test func equalInputsGiveEqualVolumes() throws {
        for name in ["one", "two"] {
            let device = try folder.device(name, 34 << 20)
            try FATWriter.write([("x/y", noise(9000, seed: 7))], to: device)
        }
        #expect(FileManager.default.contentsEqual(atPath: path("one"), andPath: path("two")))
    }

    @Test func whatDoesNotFitIsRefusedWithWhatWould() throws {
        for (sector, size) in [(512, 30 << 20), (4096, 200 << 20)] {
            let error = #expect(throws: FATError.self) {
                try FATLayout(files: [], volumeBytes: UInt64(size), sectorBytes: sector)
            }
            guard case .tooSmall(_, let needed) = error else { return #expect(Bool(false)) }
            #expect(throws: Never.self) { try FATLayout(files: [], volumeBytes: needed, sectorBytes: sector) }
        }
        #expect(throws: FATError.self) {
            try FATLayout(files: [.init(path: "big", sizeBytes: 40 << 20)], volumeBytes: 40 << 20, sectorBytes: 512)
        }
    }

    @Test(arguments: ["", "a/../b?", "tab\tname", "trailing.", "ü", "a/b/c/d/e/f/g/h/i"])
    func namesThatFATCannotHoldAreRefused(path: String) {
        #expect(throws: FATError.badPath(path)) {
            try FATLayout(files: [.init(path: path, sizeBytes: 1)], volumeBytes: 64 << 20, sectorBytes: 512)
        }
    }

    @Test func namesThatDifferOnlyInCaseAreRefused() {
        for pair in [["a/B", "a/b"], ["A/x", "a/y"], ["a", "a/b"]] {
            #expect(throws: FATError.self) {
                try FATLayout(
                    files: pair.map { .init(path: $0, sizeBytes: 1) }, volumeBytes: 64 << 20, sectorBytes: 512)
            }
        }
    }

    @Test func hostileVolumesAreRefusedOrReadWithinBounds() throws {
        let device = try folder.device("fat", 34 << 20)
        try FATWriter.write([("EFI/apus/apus.efi", noise(40_000, seed: 8)), ("a name", [1, 2])], to: device)
        let sound = try device.readBytes(at: 0, count: 1 << 20)
        var random = noise(3000, seed: 9)[...]
        func next() -> Int { Int(random.removeFirst()) }
        for _ in 0..<250 {
            var hostile = sound
            for _ in 0..<1 + next() % 3 {
                // The boot sector, the first table, and what follows.
                let region = [0..<90, 16_384..<16_600, 0..<(1 << 20)][next() % 3]
                hostile[region.lowerBound + (next() << 16 | next() << 8 | next()) % region.count] = UInt8(next())
            }
            try hostile.withUnsafeBytes { try device.write($0, at: 0) }
            guard let volume = try? FATVolume(device) else { continue }
            _ = try? volume.list()
            _ = try? volume.readFile("EFI/apus/apus.efi", limitBytes: 1 << 20)
        }
    }

    @Test func aChainThatTurnsInACircleEnds() throws {
        let device = try folder.device("fat", 34 << 20)
        try FATWriter.write([("x", noise(4096, seed: 1))], to: device)
        // The root directory's cluster 2 follows itself.
        var table = try device.readBytes(at: 32 * 512, count: 512)
        table.put(UInt32(2), at: 8)
        try table.withUnsafeBytes { try device.write($0, at: 32 * 512) }
        #expect(try FATVolume(device).list().contains("x"))
    }
}
