import ArgumentParser
import Contract
import Packing

struct USBImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usb-image", abstract: "Makes the image of a USB stick that provisions machines.",
        discussion: "Write it with 'dd if=IMAGE of=/dev/sdX bs=4M conv=fsync'. It may hold a join token: keep it safe.")
    @Option(help: "The boot artifact.", completion: .file())
    var bootArtifact = ".out/apus-boot.efi"
    @Option(help: "What the machines shall believe: it becomes apus.json on the stick.", completion: .file())
    var site: String?
    @Option(help: "The machines' architecture: amd64 or arm64.")
    var architecture: Architecture = .current
    @Option(help: "The image to make.", completion: .file())
    var output = ".out/apus-usb.img"
    @OptionGroup var show: OutputOptions

    func run() throws {
        try reporting {
            let trust = try site.map { try readTrust($0) }
            try USBImage.write(artifact: bootArtifact, site: trust, architecture: architecture, output: output)
            try show.show(["path": output]) { "the stick's image is '\(output)'; write it with dd" }
        }
    }
}
