public import Contract
public import Decisions
internal import Fetch
internal import Release
public import Sequences
internal import Slots

/// Releases at the server, for real.
public final class NodeReleases: ReleaseEffect {
    private let access: () throws -> ServerAccess
    private let trust: () throws -> SiteTrust
    private let note: @Sendable (String) -> Void
    private var held: (manifest: Manifest, table: FrameTable)?

    /// Makes it over the way to the server and the keys that sign releases.
    /// - Parameter note: told when a download resumes.
    public init(
        access: @escaping () throws -> ServerAccess, trust: @escaping () throws -> SiteTrust,
        note: @escaping @Sendable (String) -> Void
    ) {
        self.access = access
        self.trust = trust
        self.note = note
    }

    /// Fetches and verifies a release's manifest and frame table.
    public func metadata(of release: Digest256) throws -> ReleaseFacts {
        let manifest = try load(release).manifest
        guard let epoch = Int(exactly: manifest.epoch) else { throw NodeError("the release's epoch is out of bounds") }
        return ReleaseFacts(
            release: manifest.name, version: manifest.releaseVersion, epoch: epoch, architecture: manifest.architecture,
            rootHash: manifest.root.rootHash, salt: manifest.root.salt, blocks: manifest.root.blocks,
            treeBytes: manifest.root.treeBytes, ukiDigest: manifest.uki.sha256, ukiBytes: manifest.uki.bytes,
            recovery: BootRecord.RecoveryArtifact(digest: manifest.boot.sha256, sizeBytes: manifest.boot.bytes),
            expiresSeconds: manifest.expiresSeconds)
    }

    /// What writes this release, with its pack at the server.
    func writer(for release: Digest256) throws -> SlotWriter {
        let (manifest, table) = try load(release)
        let access = try access()
        let note = self.note
        let source = HTTPPackSource(
            HTTPConfiguration(
                caCertificates: access.caCertificate, identity: access.identity, proxy: access.proxy),
            url: "\(access.endpoint)/v1/releases/\(release)/pack",
            onRetry: { note("the download was interrupted and goes on: \($0)") })
        return try SlotWriter(manifest: manifest, table: table, source: source)
    }

    private func load(_ release: Digest256) throws -> (manifest: Manifest, table: FrameTable) {
        if let held, held.manifest.name == release { return held }
        let trust = try trust()
        let client = try access().client()
        do {
            let manifest = try Manifest.verified(
                envelope: try client.manifest(of: release), keys: trust.releaseKeys, threshold: trust.threshold)
            guard manifest.name == release else {
                throw Refusal("the server sent release \(manifest.name) where \(release) was asked for")
            }
            let frames = try client.frameTable(of: release, sizeBytes: manifest.frames.bytes)
            let loaded = (manifest, try FrameTable.verified(frames, manifest: manifest))
            held = loaded
            return loaded
        } catch let error as ReleaseError {
            // Metadata that is wrong does not become right by asking again.
            throw Refusal("release \(release) is refused: \(error)")
        }
    }
}
