import Contract
import HTTPTypes
import NIOPosix
import Store

/// Removing releases that no node needs: the record goes first, then the files, so that a release that is listed is
/// always whole.
extension ReleaseService {
    /// Takes a release off the list. Its files are left for `discard`.
    ///
    /// Refused while new nodes are installed with it, and while a node runs it, should run it, or could go back to it.
    func remove(_ name: Digest256) async throws -> ReleaseView {
        let core = core
        return try await core.change { transaction, announcements in
            guard let release = try transaction.release(name) else { throw Self.unknown(name) }
            let view = try Self.view(release, transaction)
            guard !view.isDefault else {
                throw APIFailure(
                    .conflict, "release-default",
                    "version \(release.version) is what new nodes are installed with; publish another release, or "
                        + "choose one with 'apus release default', then try again")
            }
            try Self.demandUnneeded(release, transaction)
            try transaction.removeRelease(name)
            try transaction.setSetting(Self.removal(name), to: "1")
            try announcements.event(
                transaction, at: core.now(), node: nil, kind: "release",
                "version \(release.version) of \(release.product) for \(release.architecture.rawValue) was removed: \(name)"
            )
            return view
        }
    }

    /// Deletes the files of a release that was removed. Called again after a failure, or at the next start, it goes on.
    func discard(_ name: Digest256) async throws {
        let shelf = shelf
        let isGone = try await core.store.write { transaction in
            // In a transaction, as publishing again ends in one: either the files stay with the record or go.
            guard try transaction.release(name) == nil else { return false }
            try shelf.putAside(name)
            return true
        }
        guard isGone else { return }
        // Gigabytes take a while: the threads that serve requests are not held up.
        try await NIOThreadPool.singleton.runIfActive { try shelf.deleteAside(name) }
        try await core.store.write { try $0.setSetting(Self.removal(name), to: nil) }
    }

    /// Deletes what a power cut left of releases that were removed. Other files are not touched.
    func discardLeftovers() async throws {
        for name in try shelf.namesOnDisk() {
            let isRemoved = try await core.store.read {
                try $0.release(name) == nil && $0.setting(Self.removal(name)) != nil
            }
            if isRemoved { try await discard(name) }
        }
    }

    /// Where it stands that a release's files are to go: written together with the removal of its record.
    static func removal(_ name: Digest256) -> String { "removed-release-\(name)" }

    /// How many nodes a refusal names.
    private static let namedNodes = 8

    private static func demandUnneeded(_ release: ReleaseRecord, _ transaction: any StoreTransaction) throws {
        let nodes = try transaction.nodes(needing: release.name, limit: namedNodes + 1)
        guard !nodes.isEmpty else { return }
        let uses = nodes.prefix(namedNodes).map { node in
            let what =
                switch node.need(of: release.name) {
                case .running: "runs it"
                case .desired: "should run it"
                case .other, nil: "has it in its other slot"
                }
            return "node \(node.id) \(what)"
        }
        let more = nodes.count > namedNodes ? ", and others" : ""
        throw APIFailure(
            .conflict, "release-in-use",
            "version \(release.version) is needed: \(uses.joined(separator: ", "))\(more); upgrade these nodes to another "
                + "release, or retire them, then try again")
    }
}
