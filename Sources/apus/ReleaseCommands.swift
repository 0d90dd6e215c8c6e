import ArgumentParser
import Contract
import Cryptography
import Foundation
import Operator
import Packing
import Release

/// `apus release …`
struct ReleaseCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Builds, checks, publishes, lists and removes releases.",
        subcommands: [
            ReleaseBuild.self, ReleaseCheck.self, ReleasePublish.self, ReleaseListing.self, ReleaseDefault.self,
            ReleaseRemove.self, ReleaseKeyCommand.self, ReleaseTrust.self,
        ])
}

/// Reads a public key's file: as 'apus release key' writes it, or PEM.
func readKey(_ path: String) throws -> ReleaseKey {
    let bytes = try read(path, limit: 64 << 10)
    let text = String(decoding: bytes, as: UTF8.self)
    guard !text.contains("PRIVATE KEY") else {
        throw Failure("'\(path)' is a private key: give its public half, which stands beside it as KEY.pub")
    }
    do {
        guard !text.contains("-----BEGIN PUBLIC KEY-----") else {
            return try ReleaseKey(ed25519: try PublicKey(pem: text))
        }
        return try Wire.decode(ReleaseKey.self, from: bytes)
    } catch {
        throw Failure("'\(path)' is not a public key of releases (\(error)): 'apus release key' makes one as KEY.pub")
    }
}

/// The one release of that version, or whose name begins with `text`.
func findRelease(_ text: String, in releases: [ReleaseView]) throws -> ReleaseView {
    var matches = releases.filter { $0.version == text }
    if matches.isEmpty, text.count >= 4 {
        matches = releases.filter { $0.name.description.hasPrefix(text.lowercased()) }
    }
    guard let match = matches.first else {
        throw Failure("there is no published release '\(text)'; see 'apus release list'")
    }
    guard matches.count == 1 else {
        throw Failure("\(matches.count) releases are called '\(text)': give the beginning of the name instead")
    }
    return match
}

struct ReleaseListing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists published releases.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let releases = try connection.open().releases()
            try output.show(ReleaseList(releases: releases)) {
                table(
                    ["NAME", "PRODUCT", "VERSION", "EPOCH", "ARCH", "SIZE", "PUBLISHED", ""],
                    releases.map {
                        [
                            String($0.name.description.prefix(12)), $0.product, $0.version, "\($0.epoch)",
                            $0.architecture.rawValue, size($0.packBytes), time($0.publishedSeconds),
                            $0.isDefault ? "default" : "",
                        ]
                    }, none: "no releases yet: build one with 'apus release build' and publish it")
            }
        }
    }
}

struct ReleaseDefault: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "default", abstract: "Has new nodes installed with a release.")
    @Argument(help: "The release: its version, or the first four or more digits of its name.")
    var release: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let found = try findRelease(release, in: try api.releases())
            try output.show(try api.makeDefault(found.name)) { "new nodes are installed with \(found.version)" }
        }
    }
}

struct ReleaseRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a published release that no node needs.",
        discussion: "Refused while it is the default, and while a node runs it, should run it or could go back to it.")
    @Argument(help: "The release: its version, or the first four or more digits of its name.")
    var release: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let found = try findRelease(release, in: try api.releases())
            try output.show(try api.removeRelease(found.name)) { "removed \(found.version), \(found.name)" }
        }
    }
}

struct ReleasePublish: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Uploads a built release and lets nodes have it.")
    @Argument(help: "The folder that 'apus release build' made.", completion: .directory)
    var directory: String
    @Flag(help: "Also have new nodes installed with it.")
    var makeDefault = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let envelope = try SignedEnvelope(
                parsing: try read(directory + "/manifest.json", limit: WireLimit.manifest))
            let progress = ProgressLine(isQuiet: output.json)
            defer { progress.end() }
            var release = try api.publish(directory: directory, name: envelope.name) { file, done, total in
                progress.show("upload \(file)", done, total)
            }
            progress.end()
            if makeDefault { release = try api.makeDefault(envelope.name) }
            try output.show(release) {
                "published \(release.version) as \(envelope.name)\(release.isDefault ? ", for new nodes" : "")"
            }
        }
    }
}

struct ReleaseTrust: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust", abstract: "Lets releases signed by a key be published; without a file, lists the keys.")
    @Argument(help: "The public key's file, which stands beside the key as KEY.pub.", completion: .file())
    var file: String?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let known = try file.map { try api.trust(try readKey($0)) } ?? api.releaseKeys()
            try output.show(known) {
                table(
                    ["SCHEME", "KEY"],
                    known.keys.map { [$0.scheme, $0.keyval.public.split(separator: "\n").joined(separator: " ")] },
                    none: "no release keys: give one with 'apus release trust KEY.pub'")
            }
        }
    }
}

struct ReleaseKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Makes a signing key where there is none, and prints its public half.")
    @Argument(help: "The key's file; its public half is KEY.pub.", completion: .file())
    var key: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let known = try ReleaseKey(ed25519: try KeyFile.loadOrCreate(key).publicKey)
            // The public half as it stands in KEY.pub: JSON either way, on one line for people.
            try output.show(known) { String(decoding: (try? Wire.encode(known)) ?? [], as: UTF8.self) }
        }
    }
}
