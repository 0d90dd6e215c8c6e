/// Makes one unified kernel image with ukify (UAPI Group specification "Unified Kernel Image").
///
/// ukify puts `.osrel`, `.cmdline` and `.uname` before `.linux`, and `.initrd` after it. With a command line of
/// constant size, kernel and base initramfs lie at equal offsets in every image of one base, and what an image adds
/// to its initramfs comes last: their frames are shared in a release's pack.
struct KernelImage {
    let base: BaseArtifacts
    let ukify: String
    let secureBoot: SecureBootKey?
    /// Where intermediate files go.
    let scratch: String
    let sourceDateSeconds: Int64

    /// The section's size: well below the 2048 bytes that the kernel keeps (x86 `COMMAND_LINE_SIZE`), which leaves
    /// room for what kexec adds.
    static let commandLineBytes = 1536

    /// Builds the image.
    ///
    /// - Parameters:
    ///   - arguments: kernel arguments after those of the base.
    ///   - segments: files that are appended to the base initramfs, each an archive of its own.
    ///   - output: the image's path.
    func build(arguments: [String], segments: [String], output: String) throws(PackingError) {
        let name = output.split(separator: "/").last.map(String.init) ?? "image"
        let commandLine = scratch + "/" + name + ".cmdline"
        try Files.write(try Self.commandLine([base.arguments] + arguments), to: commandLine)
        var call = [
            "build", "--linux=\(base.kernel)", "--initrd=\(try initrd(adding: segments, name: name))",
            "--stub=\(base.stub)", "--os-release=@\(base.osRelease)", "--uname=\(base.uname)",
            "--cmdline=@\(commandLine)", "--output=\(output)",
        ]
        if let microcode = base.microcode { call.append("--microcode=\(microcode)") }
        if let secureBoot {
            call += [
                "--signtool=sbsign", "--secureboot-private-key=\(secureBoot.key)",
                "--secureboot-certificate=\(secureBoot.certificate)",
            ]
        }
        try ExternalProgram.run(
            ukify, call, environment: ["SOURCE_DATE_EPOCH": String(sourceDateSeconds)], scratch: scratch)
    }

    /// The command line with spaces up to its constant size; the stub strips them.
    static func commandLine(_ arguments: [String]) throws(PackingError) -> [UInt8] {
        let text = arguments.filter { !$0.isEmpty }.joined(separator: " ")
        let bytes = Array(text.utf8)
        guard bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw PackingError("a kernel argument has characters that are not printable ASCII: '\(text)'")
        }
        guard bytes.count <= commandLineBytes else {
            throw PackingError(
                "the kernel command line has \(bytes.count) bytes, more than \(commandLineBytes): drop arguments")
        }
        return bytes + [UInt8](repeating: UInt8(ascii: " "), count: commandLineBytes - bytes.count)
    }

    private func initrd(adding segments: [String], name: String) throws(PackingError) -> String {
        guard !segments.isEmpty else { return base.initrd }
        let path = scratch + "/" + name + ".initrd"
        var file = try OutputFile(path)
        try file.append(contentsOf: base.initrd)
        for segment in segments {
            // The kernel takes an uncompressed archive only at a multiple of 4 (buffer-format.rst).
            try file.pad(to: 4)
            try file.append(contentsOf: segment)
        }
        return path
    }
}
