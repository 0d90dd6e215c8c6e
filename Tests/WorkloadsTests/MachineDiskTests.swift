import TestSupport
import Testing

@testable import Workloads

@Suite(.enabled(if: location(of: "qemu-img") != nil, "qemu-img is not installed"), .ownThreads)
struct MachineDisks {
    private static func refusal(_ bytes: [UInt8], fileBytes: UInt64? = nil) -> String? {
        do throws(Qcow2Header.Refusal) {
            _ = try Qcow2Header(
                Array(bytes.prefix(Qcow2Header.prefixBytes)), fileBytes: fileBytes ?? UInt64(bytes.count))
            return nil
        } catch {
            return error.description
        }
    }

    private static func image(_ scratch: Scratch, _ options: [String], size: String = "64M") throws -> [UInt8] {
        try run("qemu-img", ["create", "-q", "-f", "qcow2"] + options + [scratch.path("made.qcow2"), size])
        return try scratch.read("made.qcow2")
    }

    @Test func whatQemuImgMakesByItselfIsAccepted() throws {
        let scratch = try Scratch()
        for options in [
            [], ["-o", "compat=0.10"], ["-o", "cluster_size=512"], ["-o", "cluster_size=2M"],
            ["-o", "compression_type=zstd"], ["-o", "extended_l2=on"], ["-o", "lazy_refcounts=on"],
            ["-o", "preallocation=metadata"],
        ] {
            let bytes = try Self.image(scratch, options)
            #expect(Self.refusal(bytes) == nil, "\(options)")
            let header = try Qcow2Header(
                Array(bytes.prefix(Qcow2Header.prefixBytes)), fileBytes: UInt64(bytes.count))
            #expect(header.virtualBytes == 64 << 20)
        }
        _ = try scratch.file("content", noise(1 << 20, seed: 1))
        try run("qemu-img", ["convert", "-c", "-O", "qcow2", scratch.path("content"), scratch.path("packed.qcow2")])
        #expect(Self.refusal(try scratch.read("packed.qcow2")) == nil)
    }

    @Test func anImageThatNamesOtherFilesIsRefused() throws {
        let scratch = try Scratch()
        _ = try scratch.sparseFile("below.raw", sizeBytes: 64 << 20)
        let backed = try Self.image(scratch, ["-b", scratch.path("below.raw"), "-F", "raw"])
        #expect(Self.refusal(backed)?.contains("backing file") == true)
        let secret = try Self.image(scratch, ["-u", "-b", "/etc/shadow", "-F", "raw"])
        #expect(Self.refusal(secret)?.contains("backing file") == true)
        let split = try Self.image(scratch, ["-o", "data_file=\(scratch.path("data.raw")),data_file_raw=on"])
        #expect(Self.refusal(split)?.contains("external file") == true)
        // The bit is gone and the name still there.
        var named = split
        named[79] &= ~4
        #expect(Self.refusal(named)?.contains("external data file") == true)
        // The name is gone and the format still there.
        var format = backed
        for index in 8..<20 { format[index] = 0 }
        #expect(Self.refusal(format)?.contains("backing file") == true)
    }

    @Test func whatIsEncryptedDamagedUnknownOrAbsurdIsRefused() throws {
        let scratch = try Scratch()
        let good = try Self.image(scratch, [])
        func changed(_ change: (inout [UInt8]) -> Void) -> String? {
            var bytes = good
            change(&bytes)
            return Self.refusal(bytes)
        }
        func put(_ value: UInt64, _ count: Int, at offset: Int, _ bytes: inout [UInt8]) {
            for index in 0..<count {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (count - 1 - index)))
            }
        }
        #expect(Self.refusal(Array(good.prefix(400))) != nil)
        #expect(Self.refusal(Array("QFI".utf8)) != nil && Self.refusal([]) != nil)
        let hostile: [(Int, Int, UInt64)] = [
            (4, 4, 1), (4, 4, 4), (8, 8, 512), (16, 4, 9), (20, 4, 8), (20, 4, 40), (24, 8, 0), (24, 8, 1 << 60),
            (24, 8, .max), (32, 4, 1), (32, 4, 2), (36, 4, 0x7FFF_FFFF), (40, 8, 1 << 40), (40, 8, 77), (40, 8, 0),
            (40, 8, .max), (48, 8, 0), (48, 8, 1 << 50), (56, 4, 0), (56, 4, .max), (60, 4, 1), (72, 8, 1), (72, 8, 2),
            (72, 8, 4), (72, 8, 1 << 5), (72, 8, 1 << 63), (96, 4, 7), (100, 4, 100), (100, 4, 1 << 20), (100, 4, 109),
        ]
        for (offset, count, value) in hostile {
            #expect(changed { put(value, count, at: offset, &$0) } != nil, "\(count) bytes at \(offset) are \(value)")
        }
        // A disk that is larger than the first table can say.
        #expect(changed { put(1 << 45, 8, at: 24, &$0) }?.contains("table") == true)
        // Extensions: one that is longer than the head, and one after the other without end.
        #expect(changed { put(0x1234_5678_FFFF_FFFF, 8, at: 112, &$0) } != nil)
        let endless = changed { bytes in
            for index in 0..<100 { put(0x1234_5678_0000_0000, 8, at: 112 + index * 8, &bytes) }
        }
        #expect(endless != nil)
    }

    @Test func noBytesMakeTheReaderFailOtherwiseThanByARefusal() throws {
        let scratch = try Scratch()
        let good = Array(try Self.image(scratch, []).prefix(4096))
        var generator = SeededGenerator(seed: 42)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = good
            if generator.next() & 3 == 0 { bytes.removeLast(Int.random(in: 0...4096, using: &generator)) }
            for _ in 0..<Int.random(in: 0...6, using: &generator) where !bytes.isEmpty {
                let place = Int.random(in: 0..<min(bytes.count, 400), using: &generator)
                bytes[place] = UInt8.random(in: 0...255, using: &generator)
            }
            if Self.refusal(bytes, fileBytes: 262_144) == nil {
                accepted += 1
                #expect(bytes[8..<20].allSatisfy { $0 == 0 } && bytes[79] & 4 == 0)
            }
        }
        #expect(accepted > 100, "most changes would otherwise not be looked at")
    }

    @Test func anOwnDiskIsWholeForQemuAndGrows() throws {
        let scratch = try Scratch()
        let path = try scratch.sparseFile("own.qcow2", sizeBytes: Qcow2Overlay.fileBytes)
        func write(_ pieces: [(offset: UInt64, bytes: [UInt8])]) throws {
            for piece in pieces {
                let part = try scratch.file("piece", piece.bytes)
                try run(
                    "dd", ["if=\(part)", "of=\(path)", "bs=1", "seek=\(piece.offset)", "conv=notrunc", "status=none"])
            }
        }
        try write(Qcow2Overlay(virtualBytes: 1 << 30).pieces)
        #expect(try run("qemu-img", ["check", "-f", "qcow2", path]).contains("No errors"))
        #expect(try run("qemu-img", ["info", "-f", "qcow2", path]).contains("(1073741824 bytes)"))
        try run("qemu-io", ["-f", "qcow2", "-c", "write -P 7 1000M 64k", path])
        try write([Qcow2Overlay(virtualBytes: 64 << 40).growth])
        #expect(try run("qemu-img", ["check", "-f", "qcow2", path]).contains("No errors"))
        let read = try run("qemu-io", ["-f", "qcow2", "-c", "read -P 7 1000M 64k", "-c", "read -P 0 60T 64k", path])
        #expect(!read.contains("failed"), "\(read)")
        #expect(Qcow2Overlay.virtualBytes(Array(try scratch.read("own.qcow2").prefix(32))) == 64 << 40)
        #expect(Self.refusal(Array(try scratch.read("own.qcow2"))) == nil)
    }
}

@Suite(.enabled(if: location(of: "mcopy") != nil, "mtools are not installed"), .ownThreads)
struct MachineSeeds {
    @Test func aRealReaderFindsTheSeedAsItIs() throws {
        let scratch = try Scratch()
        let data = "#cloud-config\n# ä\n" + String(repeating: "x", count: 60_000)
        let text = String(decoding: DocumentValue.string(data).json, as: UTF8.self)
        let input = try Machines.input(
            #", "hostname": "front""#, vm: #""firmware": "kernel", "user_data": \#(text)"#, wire: true)
        let plan = try MachinePlan(input)
        #expect(plan.seed == (try MachinePlan(input)).seed)
        let path = try scratch.file("seed.img", plan.seed)
        func read(_ name: String) throws -> String {
            try run("mcopy", ["-i", path, "::" + name, scratch.path("out")])
            defer { _ = try? run("rm", [scratch.path("out")]) }
            return try scratch.text("out")
        }
        #expect(try read("user-data") == data)
        #expect(try read("meta-data") == "{\"instance-id\":\"web-abababababab\",\"local-hostname\":\"front\"}\n")
        let network = try read("network-config")
        #expect(network.contains("\"100.127.0.3/31\"") && network.contains("\"via\":\"100.127.0.2\""))
        #expect(network.contains("\"macaddress\":\"02:61:70:77:00:01\""))
        #expect(try run("minfo", ["-i", path, "::"]).contains("disk label=\"CIDATA     \""))
        if location(of: "fsck.fat") != nil { try run("fsck.fat", ["-n", path]) }
        #expect(try run("blkid", ["-p", "-o", "value", "-s", "LABEL", path]) == "CIDATA\n")
        #expect(try run("blkid", ["-p", "-o", "value", "-s", "TYPE", path]) == "vfat\n")
    }

    @Test func withoutANetworkOrUserDataTheSeedSaysSo() throws {
        let scratch = try Scratch()
        let path = try scratch.file("seed.img", try MachinePlan(try Machines.input()).seed)
        let list = try run("mdir", ["-b", "-i", path, "::"])
        #expect(list.contains("meta-data") && list.contains("user-data") && !list.contains("network-config"))
    }
}
