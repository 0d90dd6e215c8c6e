import Contract
import Foundation
import TestSupport
import Testing

@testable import Slots

/// Kernel, initrd and command line come out as they went in; a hostile file is refused.
@Suite struct UnifiedKernelImageTests {
    let kernel = noise(5000, seed: 1)
    let file: [UInt8]
    init() {
        file = kernelImage([
            (".linux", kernel), (".initrd", [1, 2, 3]), (".cmdline", Array("a=1 b a=2 apus.root=ff\n\0".utf8)),
        ])
    }

    @Test func sectionsAreReadWithoutPadding() throws {
        let image = try UnifiedKernelImage(MemoryBytes(file))
        #expect(try image.read(".linux", limitBytes: 1 << 20) == kernel)
        #expect(try image.read(".initrd", limitBytes: 3) == [1, 2, 3])
        #expect(try image.commandLine() == "a=1 b a=2 apus.root=ff")
        #expect(try image.argument("a") == "2")
        #expect(try image.argument("c") == nil)
        #expect(image.architecture == .amd64)
        var streamed: [UInt8] = []
        try image.stream(".linux") { streamed += $0 }
        #expect(streamed == kernel)
    }

    @Test func objcopyMadeImagesAreRead() throws {
        let stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
        guard FileManager.default.fileExists(atPath: stub) else { return }
        let image = try UnifiedKernelImage(MemoryBytes(Array(Data(contentsOf: URL(fileURLWithPath: stub)))))
        #expect(image.architecture == .amd64)
        #expect(image.sections.contains { $0.name == ".text" })
    }

    @Test func missingAndOversizedSectionsAreNamed() throws {
        let image = try UnifiedKernelImage(MemoryBytes(file))
        #expect(throws: UnifiedKernelImage.Failure.missing(".ucode")) { try image.read(".ucode", limitBytes: 1) }
        #expect(throws: UnifiedKernelImage.Failure.tooLarge(".linux", sizeBytes: 5000)) {
            try image.read(".linux", limitBytes: 4999)
        }
    }

    @Test func truncatedFilesAreRefused() {
        for count in [0, 10, 63, 64, 80, 90, 130, 200, 600, 5000] {
            #expect(throws: (any Error).self) { try UnifiedKernelImage(MemoryBytes(Array(file[..<count]))) }
        }
    }

    @Test func flippedBytesNeverReadOutside() {
        for index in 0..<220 {
            for value: UInt8 in [0, 0x7f, 0xff] {
                var hostile = file
                hostile[index] = value
                guard let image = try? UnifiedKernelImage(MemoryBytes(hostile)) else { continue }
                for section in image.sections { _ = try? image.read(section.name, limitBytes: 1 << 20) }
                _ = try? image.commandLine()
            }
        }
    }
}
