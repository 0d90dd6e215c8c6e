import Linux

/// A sparse file that a simulated disk lies in, read and written by the adapter that real disks have.
public final class DiskFile {
    private let device: FileBlockDevice
    private var shown: DiskImage
    private var fault: (any Error)?

    /// Opens a new file of zeros; throws where it cannot be made.
    public init(path: String, sizeBytes: UInt64, sectorSizeBytes: Int) throws {
        let file = try OwnedDescriptor(opening: path, [.read, .write, .create, .truncate])
        try file.truncate(to: sizeBytes)
        device = try FileBlockDevice(path: path, sectorSizeBytes: sectorSizeBytes)
        shown = DiskImage(sizeBytes: sizeBytes)
    }

    /// Makes the file's bytes those of an image, as a power cut or a reset left them. An error comes up at the next
    /// read or write.
    func show(_ image: DiskImage) {
        do {
            try image.forEachDifference(from: shown) { offset, bytes in
                try bytes.withUnsafeBytes { try device.write($0, at: offset) }
            }
            shown = image
        } catch {
            fault = error
        }
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        if let fault { throw fault }
        try device.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        if let fault { throw fault }
        try device.write(bytes, at: offset)
        shown.write(bytes, at: offset)
    }

    func flush() throws { try device.flush() }
}
