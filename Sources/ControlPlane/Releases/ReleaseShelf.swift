import Contract
import Foundation
import HTTPTypes

/// Where the files of releases lie: those being uploaded in `staging`, those published in `releases`.
struct ReleaseShelf: Sendable {
    let directory: DataDirectory

    /// The three files of a release.
    enum File: String, CaseIterable, Sendable {
        case manifest = "manifest.json"
        case frames
        case pack

        /// The largest that is accepted, in bytes.
        var limit: UInt64 {
            switch self {
            case .manifest: UInt64(WireLimit.manifest)
            case .frames: UInt64(WireLimit.frameTable)
            case .pack: ServerLimit.pack
            }
        }

        /// What it is, for `Content-Type`.
        var mediaType: String { self == .manifest ? "application/json" : "application/octet-stream" }
    }

    /// Where a file of a published release lies.
    func published(_ name: Digest256, _ file: File) -> String { "\(directory.releases)/\(name)/\(file.rawValue)" }

    /// Where the files of a release are uploaded to.
    func staged(_ name: Digest256) -> String { "\(directory.staging)/\(name)" }

    /// Makes the place for an upload. Where there are too many, those make room that nobody has touched for an hour,
    /// as after a release that was refused.
    func stage(_ name: Digest256, now: Date = Date()) throws -> String {
        let path = staged(name)
        guard !FileManager.default.fileExists(atPath: path) else { return path }
        if try countOfStaged() >= ServerLimit.stagedReleases { removeIdle(seconds: 3600, now: now) }
        let others = try countOfStaged()
        guard others < ServerLimit.stagedReleases else {
            throw APIFailure(
                .conflict, "too-many-uploads",
                "\(others) releases are being uploaded and were not published; publish them, or try again in an hour")
        }
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return path
    }

    /// Moves a checked release to its place, in one step. Where it is there already, from a publication that was cut
    /// short before it was listed, that one stays.
    func keep(_ name: Digest256) throws {
        let place = "\(directory.releases)/\(name)"
        if FileManager.default.fileExists(atPath: place) {
            try FileManager.default.removeItem(atPath: place)
        }
        try DurableFile.flushDirectory(staged(name))
        try DurableFile.move(staged(name), to: place)
        try DurableFile.flushDirectory(directory.staging)
    }

    /// Whether the files of a release lie in their place.
    func isKept(_ name: Digest256) -> Bool {
        File.allCases.allSatisfy { FileReply.size(of: published(name, $0)) != nil }
    }

    /// Moves the files of a release that is listed no more out of their place, in one step.
    func putAside(_ name: Digest256) throws {
        let place = "\(directory.releases)/\(name)"
        guard FileManager.default.fileExists(atPath: place) else { return }
        try deleteAside(name)
        try DurableFile.move(place, to: place + Self.asideSuffix)
    }

    /// Deletes what was put aside.
    func deleteAside(_ name: Digest256) throws {
        let aside = "\(directory.releases)/\(name)\(Self.asideSuffix)"
        guard FileManager.default.fileExists(atPath: aside) else { return }
        try FileManager.default.removeItem(atPath: aside)
        try DurableFile.flushDirectory(directory.releases)
    }

    /// The names of releases that have files, in their place or aside.
    func namesOnDisk() throws -> Set<Digest256> {
        let found = try FileManager.default.contentsOfDirectory(atPath: directory.releases)
        return Set(
            found.compactMap { name in
                Digest256(hex: name.hasSuffix(Self.asideSuffix) ? String(name.dropLast(Self.asideSuffix.count)) : name)
            })
    }

    private static let asideSuffix = ".removed"

    /// Removes uploads that nobody has touched for a day.
    func removeAbandoned(now: Date = Date()) { removeIdle(seconds: 86_400, now: now) }

    private func countOfStaged() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: directory.staging).count
    }

    private func removeIdle(seconds: TimeInterval, now: Date) {
        let manager = FileManager.default
        for name in (try? manager.contentsOfDirectory(atPath: directory.staging)) ?? [] {
            let path = "\(directory.staging)/\(name)"
            // A file that is still arriving counts as much as the folder itself.
            let parts = [path] + ((try? manager.contentsOfDirectory(atPath: path)) ?? []).map { path + "/" + $0 }
            let touched = parts.compactMap { (try? manager.attributesOfItem(atPath: $0))?[.modificationDate] as? Date }
            if let newest = touched.max(), now.timeIntervalSince(newest) < seconds { continue }
            try? manager.removeItem(atPath: path)
        }
    }
}
