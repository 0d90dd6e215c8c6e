import Contract
import Cryptography
import Foundation
import Store
import Testing

@testable import ControlPlane

/// Backups that an enemy or a broken medium changed, in thousands of ways that repeat themselves in every run: a restore
/// refuses them with a sentence, writes nothing outside its directory, and leaves no part of one.
struct HostileBackupTests {
    private struct Part {
        var name: String
        var content: [UInt8]
    }

    /// A folder with an archive and where it is restored to; whatever else appears in it was written where it must not.
    private final class Bench {
        let scratch: ScratchDirectory
        let archive: [UInt8]
        private var outer: String { scratch.path + "/a" }
        private var target: String { outer + "/b/data" }
        private let before: [String]

        init() async throws {
            scratch = try ScratchDirectory()
            try await TestSite.run(in: scratch) { site in
                try await site.administrator { caller in
                    _ = try await TestRelease(key: try await TestRelease.trustedKey(caller)).publish(caller)
                }
            }
            let path = scratch.path + "/backup.tar"
            _ = try Backup.write(dataDirectory: scratch.path + "/data", to: path)
            archive = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            let manager = FileManager.default
            try manager.createDirectory(atPath: scratch.path + "/a/b", withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(fileURLWithPath: scratch.path + "/a/ca.pem"))
            try Data().write(to: URL(fileURLWithPath: scratch.path + "/damaged.tar"))
            before = try manager.subpathsOfDirectory(atPath: scratch.path).sorted()
        }

        /// Restores it; returns whether it was accepted.
        func restores(_ bytes: [UInt8], _ what: String) throws -> Bool {
            let path = scratch.path + "/damaged.tar"
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            var isAccepted = true
            do {
                try Backup.restore(from: path, dataDirectory: target)
                // What was accepted is something that a server starts with.
                try SQLiteStore.check(path: target + "/apusd.sqlite")
                _ = try Authority(in: DataDirectory(at: target))
                try FileManager.default.removeItem(atPath: target)
            } catch {
                isAccepted = false
                #expect(error is ServerProblem || error is StoreError, "\(what): \(type(of: error)): \(error)")
                #expect(!"\(error)".isEmpty)
            }
            let after = try FileManager.default.subpathsOfDirectory(atPath: scratch.path).sorted()
            #expect(after == before, "\(what)")
            #expect(try String(contentsOfFile: scratch.path + "/a/ca.pem", encoding: .utf8) == "mine", "\(what)")
            return isAccepted
        }

        /// The files of the archive.
        func parts() throws -> [Part] {
            var parts: [Part] = []
            var at = 0
            while let entry = try Tar.entry(Array(archive[at..<at + 512])) {
                let end = at + 512 + Int(entry.bytes)
                parts.append(Part(name: entry.name, content: Array(archive[at + 512..<end])))
                at = end + Tar.padding(after: entry.bytes)
            }
            return parts.filter { $0.name != ArchiveWriter.listName }
        }
    }

    /// An archive whose list agrees with what is in it; `header` may change each header, whose sum is then made right.
    private static func seal(
        _ parts: [Part], listed: [String: String]? = nil, header change: (Int, inout [UInt8]) -> Void = { _, _ in }
    ) throws -> [UInt8] {
        var digests: [String: String] = [:]
        for part in parts { digests[part.name] = SHA256.digest(part.content).lowercaseHex }
        let list = Part(
            name: ArchiveWriter.listName,
            content: try Wire.encode(BackupList(format: 1, files: listed ?? digests)))
        var bytes: [UInt8] = []
        for (index, part) in (parts + [list]).enumerated() {
            let size = UInt64(part.content.count)
            var header = try Tar.header(name: part.name, bytes: size, modified: 0)
            change(index, &header)
            header.replaceSubrange(148..<156, with: [UInt8](repeating: UInt8(ascii: " "), count: 8))
            let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
            header.replaceSubrange(
                148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum).utf8) + [0, 32])
            bytes += header + part.content + [UInt8](repeating: 0, count: Tar.padding(after: size))
        }
        return bytes + [UInt8](repeating: 0, count: 1024)
    }

    @Test func bytesChangedAnywhereNeverBreakAnything() async throws {
        let bench = try await Bench()
        #expect(try bench.restores(bench.archive, "as it was"))
        var mutator = Mutator(seed: 1)
        // Headers, and the list at the end, are where most is decided.
        var headers = [0]
        for part in try bench.parts() { headers.append((headers.last ?? 0) + 512 + Self.padded(part.content)) }
        let list = bench.archive.count - 4096
        var refused = 0
        for round in 0..<400 {
            var bytes = bench.archive
            switch round % 4 {
            case 0: mutator.change(&bytes, within: headers[round / 4 % headers.count], count: 512)
            case 1: mutator.change(&bytes, within: list, count: 4096)
            case 2: bytes = Array(bytes.prefix(mutator.random(bytes.count)))
            default: mutator.change(&bytes, within: 0, count: bytes.count)
            }
            // What only fills a block up may change.
            if try !bench.restores(bytes, "round \(round)") { refused += 1 }
        }
        #expect(refused > 300)
    }

    private static func padded(_ content: [UInt8]) -> Int { (content.count + 511) / 512 * 512 }

    /// The enemy makes the list agree with what was changed.
    @Test func contentsChangedUnderAListThatAgreesNeverBreakAnything() async throws {
        let bench = try await Bench()
        let parts = try bench.parts()
        #expect(try bench.restores(try Self.seal(parts), "sealed again"))
        var mutator = Mutator(seed: 2)
        var refused = 0
        for round in 0..<200 {
            var changed = parts
            let index = round % 2 == 0 ? 0 : mutator.random(parts.count)
            let count = changed[index].content.count
            switch mutator.random(4) {
            case 0: changed.remove(at: index)
            case 1: changed[index].content = Array(changed[index].content.prefix(mutator.random(count)))
            // A database's first page says how the rest is to be read.
            case 2: mutator.change(&changed[index].content, within: 0, count: min(100, count))
            default: mutator.change(&changed[index].content, within: 0, count: count)
            }
            if try !bench.restores(try Self.seal(changed), "round \(round)") { refused += 1 }
        }
        #expect(refused > 50)
    }

    @Test func namesThatLeadElsewhereAreRefused() async throws {
        let bench = try await Bench()
        let parts = try bench.parts()
        let release = String(repeating: "a", count: 64)
        for name in [
            "../ca.pem", "../../ca.pem", "/tmp/apus-hostile", "./ca.pem", "boot/../ca.pem", "boot/..", "boot/.",
            "boot/",
            "boot//x", "releases/\(release)", "releases/\(release)/", "releases/\(release)/../pack",
            "releases/../../ca.pem/pack", "ca.pem/x", "apusd.sqlite/x", "apusd.sqlite", "ca.pem\n", "CA.PEM", "lock",
            "apusd.sqlite-wal", "boot/\u{202e}x", "boot/x.partial", "\u{0}", " ", ArchiveWriter.listName,
        ] {
            let bytes = try Self.seal(parts + [Part(name: name, content: Array("evil".utf8))])
            #expect(try !bench.restores(bytes, name))
        }
    }

    @Test func headersThatLieAreRefused() async throws {
        let bench = try await Bench()
        let parts = try bench.parts()
        // Links, folders, devices, and what other tars know to change names with.
        for type in Array("1234567xgLKSV".utf8) + [0, 0xff] {
            #expect(try !bench.restores(try Self.seal(parts) { if $0 == 1 { $1[156] = type } }, "type \(type)"))
        }
        var sizes = [
            "77777777777", "777777777777", "-0000000001", "00000000009", "           ", "0x000000010", "00000000000",
        ].map { Array($0.utf8) }
        // What other tars use for large files: a number to the base of 256.
        sizes.append([0x80] + [UInt8](repeating: 0xff, count: 11))
        sizes.append([0xff, 0xff])
        for size in sizes {
            for index in [0, 1, parts.count] {
                let bytes = try Self.seal(parts) {
                    if $0 == index { $1.replaceSubrange(124..<124 + size.count, with: size) }
                }
                #expect(try !bench.restores(bytes, "size \(size) of \(index)"))
            }
        }
        for list in [[:], ["ca.pem": ""], ["../x": "00"]] as [[String: String]] {
            #expect(try !bench.restores(try Self.seal(parts, listed: list), "list \(list)"))
        }
        #expect(try !bench.restores([], "nothing"))
        #expect(try !bench.restores([UInt8](repeating: 0, count: 4096), "zeros"))
    }

    /// What stands where the parts of a restore are put first is no way out of the directory.
    @Test func linkInTheWayIsNotFollowed() async throws {
        let bench = try await Bench()
        let elsewhere = try ScratchDirectory()
        let archive = elsewhere.path + "/backup.tar"
        try Data(bench.archive).write(to: URL(fileURLWithPath: archive))
        let target = elsewhere.path + "/data"
        let outside = elsewhere.path + "/outside"
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: target + ".restoring", withDestinationPath: outside)
        try Backup.restore(from: archive, dataDirectory: target)
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
        #expect(FileManager.default.fileExists(atPath: target + "/apusd.sqlite"))
        #expect(throws: ServerProblem.self, "a folder is no backup") {
            try Backup.restore(from: outside, dataDirectory: elsewhere.path + "/other")
        }
        #expect(throws: ServerProblem.self) {
            try Backup.restore(from: elsewhere.path + "/nothing", dataDirectory: elsewhere.path + "/other")
        }
        #expect(!FileManager.default.fileExists(atPath: elsewhere.path + "/other"))
    }
}

/// Changes bytes: the same changes for the same seed.
private struct Mutator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    /// Marsaglia's xorshift.
    mutating func random(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(1, bound)))
    }

    private static let pieces: [[UInt8]] =
        ["../", "/", "-1", "7777777", "null", "\"", "{", "[[[[", "1e999", "\u{202e}"].map { Array($0.utf8) }
        + [[0, 0, 0, 0], [255, 255, 255, 255], [0x80], [0xc3]]

    mutating func change(_ bytes: inout [UInt8], within start: Int, count: Int) {
        for _ in 0...random(3) {
            guard !bytes.isEmpty, count > 0 else { return }
            let at = min(bytes.count - 1, start + random(count))
            let piece = Self.pieces[random(Self.pieces.count)]
            switch random(5) {
            case 0: bytes[at] ^= 1 << UInt8(random(8))
            case 1: bytes[at] = UInt8(random(256))
            case 2: bytes.replaceSubrange(at..<min(bytes.count, at + piece.count), with: piece.prefix(bytes.count - at))
            case 3: bytes.insert(contentsOf: piece, at: at)
            default: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random(600)))
            }
        }
    }
}
