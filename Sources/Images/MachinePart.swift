/// A part of a virtual machine that came as a layer of an OCI artifact, named by its media type
/// (OCI image specification 1.1, "guidelines for artifact usage").
public enum MachinePart: String, Sendable, CaseIterable {
    /// A disk's bytes.
    case rawDisk = "application/vnd.apus.disk.v1.raw"
    /// A disk as QEMU's image.
    case qcow2Disk = "application/vnd.apus.disk.v1.qcow2"
    /// A disk that its own first bytes tell the format of.
    case anyDisk = "application/vnd.apus.disk.v1"
    /// A Linux kernel.
    case kernel = "application/vnd.apus.kernel.v1"
    /// Its initramfs.
    case initrd = "application/vnd.apus.initrd.v1"

    /// Where it is found in the file system that is made of the image, as container disks for Kubernetes have it.
    public var path: String {
        switch self {
        case .rawDisk: "disk/disk.raw"
        case .qcow2Disk: "disk/disk.qcow2"
        case .anyDisk: "disk/disk.img"
        case .kernel: "boot/vmlinuz"
        case .initrd: "boot/initrd"
        }
    }

    /// What a machine has one of: a disk, a kernel, an initramfs.
    var role: String { path.hasPrefix("disk/") ? "disk" : rawValue }
}

extension ImageManifest {
    /// The parts of a machine that its layers are; nil where it is an image for containers.
    public var parts: [MachinePart]? {
        let parts = layers.compactMap { MachinePart(rawValue: $0.mediaType) }
        return parts.isEmpty ? nil : parts
    }

    /// A machine has one of each, and nothing else; what its configuration says is nobody's business.
    func checkParts(_ parts: [MachinePart]) throws(ImageError) {
        guard parts.count == layers.count else {
            throw .document("it has layers of a machine beside layers of a container")
        }
        let roles = parts.map(\.role)
        guard Set(roles).count == roles.count else { throw .document("it has two disks, two kernels or two initramfs") }
    }
}
