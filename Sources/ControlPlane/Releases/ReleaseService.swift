import Contract
import Cryptography
import Foundation
import HTTPTypes
import NIOPosix
import Release
import Store

/// Takes releases in, and says which there are.
struct ReleaseService: Sendable {
    let core: Core
    let shelf: ReleaseShelf
    /// How many trusted keys must have signed a release.
    let threshold: Int

    /// Checks a release whose files were uploaded, moves it to its place, and lists it.
    func publish(_ name: Digest256) async throws -> ReleaseView {
        if let view = try await view(name) { return view }
        let keys = try await core.store.read { try $0.releaseKeys() }
        guard !keys.isEmpty else {
            throw APIFailure(
                .conflict, "no-release-keys",
                "this server trusts no key that signs releases; upload one, or start apusd with --release-key")
        }
        let shelf = shelf
        let threshold = threshold
        // Hashing a pack takes a core for seconds: it must not hold up the threads that serve requests.
        let manifest = try await NIOThreadPool.singleton.runIfActive {
            let manifest = try ReleaseCheck(directory: shelf.staged(name)).run(
                name: name, keys: keys, threshold: threshold)
            try shelf.keep(name)
            return manifest
        }
        let record = Self.record(manifest, publishedSeconds: core.now())
        try await core.change { transaction, announcements in
            guard try transaction.release(name) == nil else { return }
            // Whoever removed it at the same time took the files along.
            guard shelf.isKept(name) else {
                throw APIFailure(
                    .conflict, "release-incomplete",
                    "release \(name) was removed while it was published; upload it again")
            }
            try transaction.insert(record)
            try transaction.setSetting(Self.removal(name), to: nil)
            try announcements.event(
                transaction, at: record.publishedSeconds, node: nil, kind: "release",
                "version \(record.version) of \(record.product) for \(record.architecture.rawValue) was published as \(name)"
            )
        }
        guard let view = try await view(name) else { throw StoreError("a release vanished after it was published") }
        return view
    }

    /// All releases, in the order of their publication.
    func list() async throws -> ReleaseList {
        try await core.store.read { transaction in
            ReleaseList(releases: try transaction.releases().map { try Self.view($0, transaction) })
        }
    }

    /// Makes a release the one that new nodes of its architecture are installed with.
    func makeDefault(_ name: Digest256) async throws -> ReleaseView {
        let core = core
        return try await core.change { transaction, announcements in
            guard let release = try transaction.release(name) else { throw Self.unknown(name) }
            try transaction.setSetting(Self.setting(release.architecture), to: name.description)
            try announcements.event(
                transaction, at: core.now(), node: nil, kind: "release",
                "version \(release.version) is the default for \(release.architecture.rawValue)")
            return try Self.view(release, transaction)
        }
    }

    /// Trusts a key from now on.
    func trust(_ key: ReleaseKey) async throws -> ReleaseKeyList {
        guard key.keytype == "ed25519" else {
            throw APIFailure(
                .badRequest, "release-key", "releases are signed with Ed25519 keys; this one is of another type")
        }
        do {
            _ = try key.publicKey()
        } catch {
            throw APIFailure(.badRequest, "release-key", "\(error)")
        }
        let core = core
        let id = key.keyID.description
        try await core.change { transaction, announcements in
            let known = try transaction.releaseKeys()
            guard !known.contains(key) else { return }
            guard known.count < ServerLimit.releaseKeys else {
                throw APIFailure(
                    .conflict, "too-many-release-keys", "this server trusts \(ServerLimit.releaseKeys) keys already")
            }
            try transaction.insert(key, id: id)
            try announcements.event(
                transaction, at: core.now(), node: nil, kind: "release", "releases signed by key \(id) are trusted")
        }
        return try await keys()
    }

    /// The trusted keys.
    func keys() async throws -> ReleaseKeyList {
        ReleaseKeyList(keys: try await core.store.read { try $0.releaseKeys() }, threshold: threshold)
    }

    /// Refuses a release that was not published.
    func demand(_ name: Digest256) async throws {
        guard try await core.store.read({ try $0.release(name) }) != nil else { throw Self.unknown(name) }
    }

    /// Refuses a file for a release that is published: it would never change it.
    func demandUnpublished(_ name: Digest256) async throws {
        guard try await core.store.read({ try $0.release(name) }) == nil else {
            throw APIFailure(
                .conflict, "release-published",
                "release \(name) is published and can no longer change; it needs no upload")
        }
    }

    // MARK: - Parts

    /// The release that new nodes of an architecture get: the chosen one, or else the newest.
    static func defaultRelease(
        for architecture: Architecture, _ transaction: any StoreTransaction
    ) throws -> ReleaseRecord? {
        if let chosen = try transaction.setting(setting(architecture)).flatMap(Digest256.init(hex:)),
            let release = try transaction.release(chosen)
        {
            return release
        }
        return try transaction.releases().last { $0.architecture == architecture }
    }

    private func view(_ name: Digest256) async throws -> ReleaseView? {
        try await core.store.read { transaction in try transaction.release(name).map { try Self.view($0, transaction) }
        }
    }

    static func view(_ release: ReleaseRecord, _ transaction: any StoreTransaction) throws -> ReleaseView {
        let isDefault = try defaultRelease(for: release.architecture, transaction)?.name == release.name
        return ReleaseView(
            name: release.name, product: release.product, version: release.version, epoch: release.epoch,
            architecture: release.architecture, packBytes: release.packBytes,
            publishedSeconds: release.publishedSeconds, isDefault: isDefault)
    }

    private static func record(_ manifest: Manifest, publishedSeconds: Int64) -> ReleaseRecord {
        ReleaseRecord(
            name: manifest.name, product: manifest.product, version: manifest.releaseVersion,
            epoch: Int(clamping: manifest.epoch), architecture: manifest.architecture, packBytes: manifest.packBytes,
            rootBytes: manifest.root.bytes, treeBytes: manifest.root.treeBytes, ukiBytes: manifest.uki.bytes,
            bootBytes: manifest.boot.bytes, publishedSeconds: publishedSeconds)
    }

    private static func setting(_ architecture: Architecture) -> String { "default-release-\(architecture.rawValue)" }

    static func unknown(_ name: Digest256) -> APIFailure {
        APIFailure(
            .notFound, "release-unknown", "there is no release \(name); 'apus release list' shows those there are")
    }
}
