import Contract

/// Whether disk and boot entries are as designed, in the eyes of `sfdisk`, `veritysetup`, `mcopy`, `objdump` and
/// `efibootmgr`.
enum Soundness {
    private static let labels = [
        "apus-recovery", "apus-boot-a", "apus-boot-b", "apus-record", "apus-root-a", "apus-tree-a", "apus-root-b",
        "apus-tree-b", "apus-state",
    ]

    /// Throws where anything is not as designed; both slots must hold a release.
    static func check(_ disk: DiskInspection, _ variables: NVRAM) throws {
        try disk.verifyTable()
        let found = disk.partitions.map(\.label)
        try expect(found == labels, "the partitions are as designed: \(found)")
        try expect(Set(disk.partitions.map(\.uuid)).count == labels.count, "every partition has a UUID of its own")
        let listing = try efibootmgr(disk.efivarsPath, variables)
        for slot in SlotName.allCases {
            try checkTree(disk, slot)
            try checkEntry(
                listing, "Apus \(slot.letter)", "apus-boot-\(slot.rawValue)", #"\EFI\apus\apus.efi"#, disk, variables)
        }
        try checkEntry(
            listing, "Apus Recovery", "apus-recovery", #"\EFI\BOOT\BOOTX64.EFI"#, disk, variables)
    }

    /// Verifies a slot's root against its tree, the salt and the root hash that its signed command line names.
    private static func checkTree(_ disk: DiskInspection, _ slot: SlotName) throws {
        let arguments = try signedArguments(disk, slot)
        let root = try disk.extract("apus-root-\(slot.rawValue)")
        let tree = try disk.extract("apus-tree-\(slot.rawValue)")
        try ChildProcess.check(["veritysetup", "verify", root, tree, try value("apus.root", in: arguments)])
        let superblock = try ChildProcess.check(["veritysetup", "dump", tree])
        try expect(superblock.contains(try value("apus.salt", in: arguments)), "slot \(slot.letter) has its salt")
    }

    /// The signed command line of a slot's UKI, read from its partition by `mcopy` and `objcopy`.
    private static func signedArguments(_ disk: DiskInspection, _ slot: SlotName) throws -> String {
        let volume = try disk.extract("apus-boot-\(slot.rawValue)")
        let image = volume + ".efi"
        try ChildProcess.check(["mcopy", "-n", "-i", volume, "::/EFI/apus/apus.efi", image])
        let sections = try ChildProcess.check(["objdump", "-h", image])
        for section in [".linux", ".initrd", ".cmdline"] {
            try expect(sections.contains(section), "slot \(slot.letter)'s UKI has a section \(section)")
        }
        // objcopy says that an image without relocations is unusual; only the section's bytes matter here.
        try ChildProcess.check(["objcopy", "-O", "binary", "--only-section=.cmdline", image, image + ".cmdline"])
        return try Files.read(image + ".cmdline")
    }

    /// What `efibootmgr` says of the firmware's variables, which are laid out for it as efivarfs has them.
    private static func efibootmgr(_ folder: String, _ variables: NVRAM) throws -> String {
        try variables.export(to: folder)
        defer { try? Files.remove(folder) }
        return try ChildProcess.check([
            "env", "LIBEFIVAR_OPS=efivarfs", "EFIVARFS_PATH=\(folder)/", "efibootmgr", "-v",
        ])
    }

    private static func checkEntry(
        _ listing: String, _ description: String, _ label: String, _ path: String, _ disk: DiskInspection,
        _ variables: NVRAM
    ) throws {
        let entries = variables.bootEntries.filter { $0.description == description }
        try expect(entries.count == 1, "there is one boot entry '\(description)', not \(entries.count)")
        try expect(entries.first?.partition == (try disk.partition(label)).uuid, "'\(description)' names '\(label)'")
        try expect(entries.first?.path == path, "'\(description)' names '\(path)', not '\(entries.first?.path ?? "")'")
        let name = entries.first.map { NVRAM.bootName($0.number) } ?? ""
        let line = listing.split(separator: "\n").first { $0.hasPrefix("\(name)* \(description)\t") } ?? ""
        let place = try disk.loadOptionPlace(label)
        try expect(line.contains(place) && line.contains(path), "efibootmgr agrees with \(place), \(path): '\(line)'")
    }

    private static func value(_ name: String, in arguments: String) throws(LabError) -> String {
        let words = arguments.split { $0.isWhitespace || $0 == "\0" }
        guard let word = words.first(where: { $0.hasPrefix(name + "=") }) else {
            throw LabError("the signed command line has no \(name)")
        }
        return String(word.dropFirst(name.count + 1))
    }

    private static func expect(_ condition: Bool, _ sentence: String) throws(LabError) {
        guard condition else { throw LabError("not so: \(sentence)") }
    }
}
