import ArgumentParser
import Contract
import Foundation
import Operator
import Packing
import Release

/// `apus release …`
struct ReleaseCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Builds, checks, publishes and lists releases.",
        subcommands: [
            ReleaseBuild.self, ReleaseCheck.self, ReleasePublish.self, ReleaseListing.self, ReleaseDefault.self,
            ReleaseKeyCommand.self, ReleaseTrust.self,
        ])
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
                    ["NAME", "PRODUCT", "VERSION", "ARCH", "SIZE", "PUBLISHED", ""],
                    releases.map {
                        [
                            String($0.name.description.prefix(12)), $0.product, $0.version, $0.architecture.rawValue,
                            size($0.packBytes), time($0.publishedSeconds), $0.isDefault ? "default" : "",
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
            try api.makeDefault(found.name)
            try output.show(Done(done: "default")) { "new nodes are installed with \(found.version)" }
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
            try api.publish(directory: directory, name: envelope.name) { file, done, total in
                progress.show("upload \(file)", done, total)
            }
            progress.end()
            if makeDefault { try api.makeDefault(envelope.name) }
            try output.show(["name": envelope.name.description]) { "published \(envelope.name)" }
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
            if let file { try api.trust(try Wire.decode(ReleaseKey.self, from: try read(file, limit: 64 << 10))) }
            let known = try api.releaseKeys()
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

    func run() throws {
        try reporting {
            _ = try KeyFile.loadOrCreate(key)
            print(String(decoding: try read(key + ".pub", limit: 64 << 10), as: UTF8.self), terminator: "")
        }
    }
}

/// Reads a file of at most `limit` bytes.
func read(_ path: String, limit: Int) throws -> [UInt8] {
    guard let handle = FileHandle(forReadingAtPath: path) else {
        throw Failure("cannot read '\(path)': does the file exist, and may you read it?")
    }
    defer { try? handle.close() }
    let data = try handle.read(upToCount: limit + 1) ?? Data()
    guard data.count <= limit else { throw Failure("'\(path)' is larger than the \(limit) bytes that are accepted") }
    return Array(data)
}
