import Contract
import Cryptography
import Foundation
import HTTPTypes
import HummingbirdTesting
import Release
import Testing

@testable import ControlPlane

struct ReleaseRouteTests {
    @Test func publishedReleaseIsServedWholeAndInPart() async throws {
        try await TestSite.run { site in
            let release = try await site.administrator { caller in
                let release = try TestRelease(key: try await TestRelease.trustedKey(caller))
                let view = try await release.publish(caller)
                #expect(view.isDefault)
                #expect(view.packBytes == UInt64(release.pack.count))
                let again = try await caller.exchange(
                    .post, "/v1/releases/\(release.name)/publish", as: ReleaseView.self)
                #expect(again == view, "publishing twice is publishing once")
                let late = try await caller.send(.put, "/v1/releases/\(release.name)/pack", body: [1])
                #expect(try Failure(late).code == "release-published")
                return release
            }
            let path = "/v1/releases/\(release.name)/pack"
            let node = try await AdmittedNode.make(site)
            try await node.connect(site) { caller in
                let whole = try await caller.send(.get, path)
                #expect(whole.bytes == release.pack)
                let tag = try #require(whole.headers[.eTag])
                let head = try await caller.send(.head, path)
                #expect(head.headers[.contentLength] == "\(release.pack.count)")
                let part = try await caller.send(.get, path, headers: [.range: "bytes=100-199", .ifRange: tag])
                #expect(part.status == .partialContent)
                #expect(part.headers[.contentRange] == "bytes 100-199/\(release.pack.count)")
                #expect(part.bytes == Array(release.pack[100..<200]))
                let changed = try await caller.send(.get, path, headers: [.range: "bytes=100-199", .ifRange: "\"x\""])
                #expect(changed.status == .ok)
                #expect(changed.bytes == release.pack)
                let tail = try await caller.send(.get, path, headers: [.range: "bytes=-1"])
                #expect(tail.bytes == [try #require(release.pack.last)])
                let beyond = try await caller.send(.get, path, headers: [.range: "bytes=\(release.pack.count)-"])
                #expect(beyond.status == .rangeNotSatisfiable)
                #expect(beyond.headers[.contentRange] == "bytes */\(release.pack.count)")
                #expect(try Failure(beyond).code == "range-unsatisfiable")
                let known = try await caller.send(.get, path, headers: [.ifNoneMatch: tag])
                #expect(known.status == .notModified)
                #expect(
                    try await caller.send(.get, "/v1/releases/\(release.name)/manifest.json").bytes == release.manifest)
                #expect(try await caller.send(.get, "/v1/releases/\(release.name)/frames").bytes == release.frames)
            }
            let none = try await site.anyone { try await $0.failure(.get, path) }
            #expect(none.status == 401)
        }
    }

    @Test func nothingThatANodeWouldRefuseIsPublished() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let stranger = try Ed25519PrivateKey()
                var flipped = try TestRelease(key: key)
                flipped.pack[150] ^= 1
                var short = try TestRelease(key: key)
                short.pack.removeLast()
                var table = try TestRelease(key: key)
                table.frames[table.frames.count - 1] ^= 1
                var manifest = try TestRelease(key: key)
                manifest.manifest = try TestRelease(key: key, version: "2.0").manifest
                let cases: [(TestRelease, String)] = [
                    (try TestRelease(key: stranger), "signatures"), (flipped, "the frame at byte 100"),
                    (short, "the pack has"), (table, "frame table"), (manifest, "the manifest's name"),
                    (try TestRelease(key: key, expiresSeconds: 1000), "expired"),
                    (try TestRelease(key: key, rootBlocks: 1 << 20), "does not fit"),
                ]
                for (release, reason) in cases {
                    try await release.upload(caller)
                    let failure = try await caller.failure(.post, "/v1/releases/\(release.name)/publish")
                    #expect(failure.code == "release-refused")
                    #expect(failure.message.contains(reason), "\(failure.message)")
                }
                let list = try await caller.exchange(.get, "/v1/releases", as: ReleaseList.self)
                #expect(list.releases.isEmpty)
            }
        }
    }

    @Test func incompleteUploadIsNamed() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                let release = try TestRelease(key: try await TestRelease.trustedKey(caller))
                _ = try await caller.send(.put, "/v1/releases/\(release.name)/manifest.json", body: release.manifest)
                let failure = try await caller.failure(.post, "/v1/releases/\(release.name)/publish")
                #expect(failure.code == "release-incomplete")
                #expect(failure.message.contains("frames"))
            }
        }
    }

    @Test func uploadsAreBoundedInNumber() async throws {
        try await TestSite.run { site in
            let codes = try await site.administrator { caller in
                var codes: [Int] = []
                for number in 0...ServerLimit.stagedReleases {
                    let name = String(repeating: "0", count: 62) + (number < 10 ? "0\(number)" : "\(number)")
                    codes.append(try await caller.send(.put, "/v1/releases/\(name)/frames", body: [1]).status.code)
                }
                return codes
            }
            #expect(codes.dropLast().allSatisfy { $0 == 201 })
            #expect(codes.last == 409)
            // What was given up an hour ago makes room.
            let manager = FileManager.default
            let abandoned = try manager.subpathsOfDirectory(atPath: site.directory.staging).sorted {
                $0.count > $1.count
            }
            for name in abandoned where name.hasPrefix(String(repeating: "0", count: 63)) {
                try manager.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -3700)],
                    ofItemAtPath: site.directory.staging + "/" + name)
            }
            let late = String(repeating: "f", count: 64)
            let code = try await site.administrator {
                try await $0.send(.put, "/v1/releases/\(late)/frames", body: [1]).status.code
            }
            #expect(code == 201)
        }
    }

    @Test func defaultIsTheNewestUntilOneIsChosen() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let first = try await TestRelease(key: key, version: "1.0").publish(caller)
                let second = try await TestRelease(key: key, version: "2.0").publish(caller)
                let arm = try await TestRelease(key: key, version: "1.0", architecture: .arm64).publish(caller)
                func defaults() async throws -> [Digest256] {
                    try await caller.exchange(.get, "/v1/releases", as: ReleaseList.self).releases
                        .filter(\.isDefault).map(\.name)
                }
                #expect(try await defaults() == [second.name, arm.name])
                _ = try await caller.exchange(.post, "/v1/releases/\(first.name)/default", as: ReleaseView.self)
                #expect(try await defaults() == [first.name, arm.name])
            }
        }
    }

    @Test func upgradeMustSuitTheNode() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let arm = try await TestRelease(key: key, architecture: .arm64).publish(caller)
                let new = try await TestRelease(key: key, version: "2.0", epoch: 2).publish(caller)
                let old = try await TestRelease(key: key, version: "1.0", epoch: 1).publish(caller)
                let path = "/v1/nodes/\(node.id)/upgrade"
                #expect(
                    try await caller.failure(.post, path, UpgradeRequest(release: arm.name)).code
                        == "release-architecture")
                _ = try await caller.exchange(.post, path, UpgradeRequest(release: new.name), as: NodeView.self)
                #expect(
                    try await caller.failure(.post, path, UpgradeRequest(release: old.name)).code == "release-epoch")
                let rule = ProbationRule(holdSeconds: 100, deadlineSeconds: 10, attempts: 1)
                let bad = UpgradeRequest(release: new.name, probation: rule)
                #expect(try await caller.failure(.post, path, bad).code == "probation")
            }
        }
    }

    @Test func bootArtifactIsServedWithoutTLS() async throws {
        try await TestSite.run { site in
            var image = [UInt8](repeating: 7, count: 1 << 20)
            image.replaceSubrange(0..<2, with: Array("MZ".utf8))
            image.replaceSubrange(0x3c..<0x40, with: [0x80, 0, 0, 0])
            image.replaceSubrange(0x80..<0x84, with: [0x50, 0x45, 0, 0])
            let sent = image
            try await site.administrator { caller in
                #expect(try await caller.send(.put, "/v1/boot-artifact", body: sent).status == .created)
                let small = try await caller.send(.put, "/v1/boot-artifact", body: Array(sent.prefix(1024)))
                #expect(try Failure(small).code == "boot-artifact-refused")
            }
            try await site.plain { caller in
                let head = try await caller.send(.head, "/boot/apus-boot.efi")
                #expect(head.headers[.contentLength] == "\(sent.count)")
                let whole = try await caller.send(.get, "/boot/apus-boot.efi")
                #expect(whole.bytes == sent)
                #expect(whole.headers[.contentType] == "application/efi")
                let part = try await caller.send(.get, "/boot/apus-boot.efi", headers: [.range: "bytes=0-1"])
                #expect(part.bytes == Array("MZ".utf8))
            }
        }
    }

    @Test func trustNamesEndpointAuthorityAndKeys() async throws {
        try await TestSite.run(configure: { $0.names = ["apus.example"] }) { site in
            let trust = try await site.administrator { caller in
                _ = try await TestRelease.trustedKey(caller)
                return try await caller.exchange(.get, "/v1/trust", as: SiteTrust.self)
            }
            #expect(trust.endpoint == "https://apus.example:\(site.addresses.port)")
            #expect(
                trust.caCertificate
                    == (try String(contentsOfFile: site.directory.authorityCertificate, encoding: .utf8)))
            #expect(trust.releaseKeys.count == 1)
            #expect(trust.threshold == 1)
            #expect(trust.token == nil)
        }
    }
}
