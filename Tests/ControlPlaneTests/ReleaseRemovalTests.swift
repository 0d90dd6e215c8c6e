import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Release
import Store
import Testing

@testable import ControlPlane

struct ReleaseRemovalTests {
    private func names(_ caller: TestCaller) async throws -> [Digest256] {
        try await caller.exchange(.get, "/v1/releases", as: ReleaseList.self).releases.map(\.name)
    }

    @Test func releaseThatNobodyNeedsGoesWithItsFiles() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let old = try TestRelease(key: key, version: "1.0")
                _ = try await old.publish(caller)
                let new = try await TestRelease(key: key, version: "2.0").publish(caller)
                let refused = try await caller.failure(.delete, "/v1/releases/\(new.name)")
                #expect(refused.status == 409 && refused.code == "release-default")
                let removed = try await caller.exchange(.delete, "/v1/releases/\(old.name)", as: ReleaseView.self)
                #expect(removed.name == old.name && removed.version == "1.0")
                #expect(try await names(caller) == [new.name])
                let kept = try FileManager.default.contentsOfDirectory(atPath: site.directory.releases)
                #expect(kept == [new.name.description])
                #expect(
                    try await caller.failure(.get, "/v1/releases/\(old.name)/manifest.json").code == "release-unknown")
                #expect(try await caller.failure(.delete, "/v1/releases/\(old.name)").code == "release-unknown")
                #expect(try await caller.failure(.delete, "/v1/releases/old").code == "release-unknown")
                let events = try await caller.exchange(.get, "/v1/events", as: EventList.self).events
                #expect(events.last?.kind == "release")
                #expect(events.last?.message == "version 1.0 of apus-os for amd64 was removed: \(old.name)")
                // What was removed may come again, and stays.
                _ = try await old.publish(caller)
                #expect(try await caller.send(.get, "/v1/releases/\(old.name)/pack").bytes == old.pack)
            }
            let code = try await site.anyone {
                try await $0.send(.delete, "/v1/releases/\(String(repeating: "0", count: 64))").status
            }
            #expect(code == .unauthorized)
        }
    }

    @Test func releaseThatANodeNeedsStaysAndTheNodeIsNamed() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let (old, path) = try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let old = try await TestRelease(key: key, version: "1.0").publish(caller)
                let new = try await TestRelease(key: key, version: "2.0").publish(caller)
                let path = "/v1/releases/\(old.name)"
                _ = try await caller.exchange(
                    .post, "/v1/nodes/\(node.id)/upgrade", UpgradeRequest(release: old.name), as: NodeView.self)
                let refused = try await caller.failure(.delete, path)
                #expect(refused.status == 409 && refused.code == "release-in-use")
                #expect(refused.message.contains("node \(node.id) should run it"))
                _ = try await caller.exchange(
                    .post, "/v1/nodes/\(node.id)/upgrade", UpgradeRequest(release: new.name), as: NodeView.self)
                return (old.name, path)
            }
            @Sendable func report(_ running: SlotName, quarantined: Bool = false) async throws {
                var status = AdmittedNode.status(slot: running)
                status.slots[.a] = SlotReport(state: "verified", release: quarantined ? nil : old, version: "1.0")
                if quarantined { status.quarantined = [QuarantinedRelease(release: old, reason: "it fails")] }
                let sent = status
                try await node.connect(site) {
                    _ = try await $0.exchange(.post, "/v1/node/status", sent, as: StatusReply.self)
                }
            }
            for (slot, words) in [(SlotName.a, "runs it"), (.b, "has it in its other slot")] {
                try await report(slot)
                let refused = try await site.administrator { try await $0.failure(.delete, path) }
                #expect(refused.code == "release-in-use" && refused.message.contains("node \(node.id) \(words)"))
            }
            // That it is quarantined there is no reason to keep it.
            try await report(.b, quarantined: true)
            try await site.administrator { _ = try await $0.exchange(.delete, path, as: ReleaseView.self) }
        }
    }

    @Test func retiredNodeKeepsNoRelease() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let old = try await TestRelease(key: key, version: "1.0").publish(caller)
                _ = try await TestRelease(key: key, version: "2.0").publish(caller)
                _ = try await caller.exchange(
                    .post, "/v1/nodes/\(node.id)/upgrade", UpgradeRequest(release: old.name), as: NodeView.self)
                _ = try await caller.exchange(
                    .post, "/v1/nodes/\(node.id)/retire", [String: String](), as: NodeView.self)
                _ = try await caller.exchange(.delete, "/v1/releases/\(old.name)", as: ReleaseView.self)
            }
        }
    }

    /// The power goes after the record is gone and before the files are: the next start goes on.
    @Test(arguments: [false, true]) func filesThatAPowerCutLeftAreSweptAtStart(aside: Bool) async throws {
        let scratch = try ScratchDirectory()
        let manager = FileManager.default
        let made = try await withScratch(scratch)
        let directory = DataDirectory(at: scratch.path + "/data")
        let store = try SQLiteStore(path: directory.database)
        try await store.write { transaction in
            try transaction.removeRelease(made.old)
            try transaction.setSetting(ReleaseService.removal(made.old), to: "1")
        }
        try store.close()
        let place = "\(directory.releases)/\(made.old)"
        if aside { try manager.moveItem(atPath: place, toPath: place + ".removed") }
        // Nobody's business, and so left alone: that may be what a lost database knew.
        let foreign = "\(directory.releases)/\(String(repeating: "f", count: 64))"
        try manager.createDirectory(atPath: foreign, withIntermediateDirectories: true)
        try await TestSite.run(in: scratch) { site in
            let left = try FileManager.default.contentsOfDirectory(atPath: site.directory.releases)
            #expect(Set(left) == [made.new.description, String(repeating: "f", count: 64)])
            try await site.administrator { caller in
                let pack = try await caller.send(.get, "/v1/releases/\(made.new)/pack")
                #expect(pack.status == .ok)
            }
        }
        let after = try SQLiteStore(path: directory.database)
        #expect(try await after.read { try $0.setting(ReleaseService.removal(made.old)) } == nil)
        try after.close()
    }

    /// A stopped server with two releases.
    private func withScratch(_ scratch: ScratchDirectory) async throws -> (old: Digest256, new: Digest256) {
        let (stream, made) = AsyncStream.makeStream(of: (Digest256, Digest256).self)
        try await TestSite.run(in: scratch) { site in
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let old = try await TestRelease(key: key, version: "1.0").publish(caller)
                made.yield((old.name, try await TestRelease(key: key, version: "2.0").publish(caller).name))
            }
        }
        made.finish()
        return try #require(await stream.first { _ in true })
    }
}
