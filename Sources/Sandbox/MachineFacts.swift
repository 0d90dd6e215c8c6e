internal import Linux
internal import Workloads

extension MachineHost {
    /// What this node offers now.
    static func look(root: String = "") -> MachineHost {
        let kvm = (try? OwnedDescriptor(opening: root + "/dev/kvm", [.read, .write])) != nil
        return MachineHost(
            isAMD64: isBuiltForAMD64, hasQEMU: Files.exists(root + program),
            hasUEFI: Files.exists(root + firmware) && Files.exists(root + firmwareVariables),
            accelerator: kvm ? .kvm : .tcg, kvmGroup: kvm ? group(named: "kvm", root: root) : 0)
    }

    private static var isBuiltForAMD64: Bool {
        #if arch(x86_64)
            true
        #else
            false
        #endif
    }

    /// A group's number (group(5)); 0 where there is none, and `/dev/kvm` is then everybody's.
    private static func group(named name: String, root: String) -> UInt32 {
        let text = (try? Files.readText(root + "/etc/group", limitBytes: 1 << 20)) ?? ""
        let fields = text.split(separator: "\n").lazy.map {
            $0.split(separator: ":", omittingEmptySubsequences: false)
        }.first { $0.first == name[...] && $0.count >= 3 }
        return fields.flatMap { UInt32($0[2]) } ?? 0
    }
}

extension MachineParts {
    /// Most files that an image's directory of disks is looked through for.
    private static let fileLimit = 64

    /// Finds a machine's parts in its image, whose files are hostile: ordinary files only, no link is followed, and a
    /// qcow2 image is judged by its head before anything reads more of it.
    ///
    /// The disk is the one file in `/disk`, kernel and initramfs are `/boot/vmlinuz` and `/boot/initrd` or
    /// `/boot/initrd.img`: where container disks for Kubernetes have them, and where this node's program that fetches
    /// images puts what came as an artifact.
    ///
    /// - Parameter user: the node's user that QEMU is: it must be able to read them.
    static func find(in root: String, user: UInt32) throws -> MachineParts {
        var parts = MachineParts()
        if isDirectory(root + "/disk") {
            let names = try Files.list(root + "/disk", limit: fileLimit)
            guard names.count <= 1 else {
                throw refusal("has \(names.count) files in /disk, and a machine has one disk")
            }
            if let name = names.first { parts.disk = try disk("disk/" + name, in: root, user) }
        }
        guard isDirectory(root + "/boot") else { return parts }
        parts.kernel = try file(["boot/vmlinuz"], in: root, user)
        parts.initrd = try file(["boot/initrd", "boot/initrd.img"], in: root, user)
        return parts
    }

    private static func refusal(_ reason: String) -> SandboxError {
        SandboxError("the machine's image \(reason)", isPermanent: true)
    }

    private static func isDirectory(_ path: String) -> Bool {
        Files.status(path, followSymbolicLinks: false)?.kind == .directory
    }

    private static func file(_ names: [String], in root: String, _ user: UInt32) throws -> String? {
        for name in names {
            guard let status = Files.status("\(root)/\(name)", followSymbolicLinks: false) else { continue }
            guard status.kind == .regular else { throw refusal("has '\(name)', which is no ordinary file") }
            guard status.mode & 0o004 != 0 || (status.owner == user && status.mode & 0o400 != 0) else {
                throw refusal(
                    "has '\(name)', which neither everybody nor the user \(MachinePlan.innerUser) may read")
            }
            return name
        }
        return nil
    }

    private static func disk(_ path: String, in root: String, _ user: UInt32) throws -> Disk {
        guard isPlain(path) else { throw refusal("has a disk whose name is not plain") }
        guard try file([path], in: root, user) != nil else { throw refusal("has no disk") }
        let disk = try OwnedDescriptor(opening: "\(root)/\(path)", [.read, .noFollow])
        let bytes = try disk.status().sizeBytes
        let prefix = try prefix(of: disk, bytes: Int(min(bytes, UInt64(Qcow2Header.prefixBytes))))
        // What calls itself raw is raw, whatever it holds.
        guard !path.hasSuffix(".raw"), Qcow2Header.isQcow2(prefix) else {
            guard bytes > 0, bytes.isMultiple(of: 512) else {
                throw refusal("has a raw disk of \(bytes) bytes, which are no whole sectors")
            }
            return Disk(path: path, format: .raw, virtualBytes: bytes)
        }
        do {
            let header = try Qcow2Header(prefix, fileBytes: bytes)
            return Disk(path: path, format: .qcow2, virtualBytes: header.virtualBytes)
        } catch {
            throw refusal("has a qcow2 disk that is refused: \(error)")
        }
    }

    private static func prefix(of disk: borrowing OwnedDescriptor, bytes count: Int) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, count), alignment: 16)
        defer { buffer.deallocate() }
        let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        try disk.read(at: 0, into: piece)
        return Array(piece)
    }
}
