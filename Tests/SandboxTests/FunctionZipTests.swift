import Contract
import Cryptography
import Linux
import Synchronization
import TestSupport
import Testing
import Workloads

@testable import Images
@testable import Sandbox

/// Fetches zips from a real server into a real store, and puts the base image beside them.
private final class ZipFetcher: ImageFetcher {
    private let port: Int
    /// More lines for the script that fills the base image.
    private let more: String
    let requests = Mutex<[ImagePullRequest]>([])

    init(port: Int, base more: String) {
        self.port = port
        self.more = more
    }

    func fetch(_ request: ImagePullRequest) throws {
        requests.withLock { $0.append(request) }
        guard let found = WebFile.parse(request.reference) else {
            return try RuntimeImage(more: more, entrypoint: ["/bin/false"]).fetch(request)
        }
        guard request.file == .zip else { throw SandboxError("it is not said to be a zip") }
        let name = found.address.split(separator: "/").last.map(String.init) ?? ""
        let store = try ImageStore(request.directory, owner: NodePlaces.imageOwner)
        let puller = ImagePuller(store: store, builder: ImageBuilder(mkfsErofs: mkfsErofs ?? ""), pause: { _, _ in })
        let file = try WebFile(
            address: "http://127.0.0.1:\(port)/\(name)", digest: found.digest, content: .zip,
            caCertificates: "", allowsPlainHTTP: true)
        _ = try puller.pull(file, named: request.reference, nowSeconds: Clock.realtimeSeconds())
    }
}

/// Functions that are zips, with a real runtime, a real zip and a real client.
@Suite(
    .ownThreads,
    .enabled(if: RuntimeImage.obstacle == nil, "no function can be run here: \(RuntimeImage.obstacle ?? "")"),
    .enabled(if: mkfsErofs != nil, "needs mkfs.erofs of erofs-utils 1.7: name it in APUS_MKFS_EROFS"), .serialized)
struct ZipFunctions {
    private let scratch: Scratch
    private let server: ServingProgram
    /// What the base image itself would start, and what it has where the zip is, must not be seen.
    private let fetcher: ZipFetcher
    /// One without a directory where the zip is to be.
    private let emptyFetcher: ZipFetcher

    init() throws {
        scratch = try Scratch()
        let folder = try scratch.folder("served")
        server = try ServingProgram(
            "/bin/sh",
            ["-c", "exec python3 -u -m http.server 0 --bind 127.0.0.1 --directory \(folder) 2>/dev/null"])
        let port = try #require(server.ports.first)
        fetcher = ZipFetcher(port: port, base: "echo old >tree/var/task/old")
        emptyFetcher = ZipFetcher(port: port, base: "rm -r tree/var/task")
    }

    static let handler = #"""
        handler () {
          case "$1" in
            *mode=where*) printf '"%s %s"' "$(pwd)" "$(seq 1)" ;;
            *mode=files*) printf '"%s"' "$(cd /var/task && echo *)" ;;
            *mode=env*) printf '"%s %s"' "$LAMBDA_TASK_ROOT" "$_HANDLER" ;;
            *mode=write*)
              for path in /var/task/new /var/task/function.sh /var/new; do
                (echo x >>$path) 2>/dev/null && { printf '"wrote %s"' $path; return; }
              done
              echo x >/tmp/new && printf '"only /tmp"' ;;
            *) printf '{"statusCode": 200, "body": "%s"}' "$(cat version)" ;;
          esac
        }

        """#

    /// Makes a zip by `zipfile` as build tools do, and the document that runs it.
    private func function(_ name: String, version: String, mode: Int = 0o755, _ more: String = "") throws -> Workload {
        let packed = "\(name)-\(version).zip"
        let path = scratch.path("served/" + packed)
        let program = """
            import sys, zipfile
            made = zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED)
            for name, mode, text in zip(sys.argv[2::3], sys.argv[3::3], sys.argv[4::3]):
                info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
                info.external_attr = (0o100000 | int(mode)) << 16
                made.writestr(info, text)
            made.close()
            """
        try run(
            "/usr/bin/python3",
            [
                "-c", program, path, "bootstrap", "\(mode)", RuntimeImage.shell, "function.sh", "\(0o644)",
                Self.handler, "version", "\(0o600)", version,
            ])
        let bytes = try Files.read(path, limitBytes: 1 << 20)
        let digest = try #require(Digest256(bytes: SHA256.digest(bytes)))
        let base = "registry.example/provided@sha256:\(Fixture.imageDigest)"
        let settings =
            #""base_image": "\#(base)", "handler": "function.handler", "url": "/\#(name)", "timeout": "60s", "#
            + #""concurrency": 1\#(more)"#
        let files = #""ulimits": {"nofile": {"soft": 256, "hard": 512}}, "mem_limit": "128m""#
        return try Workload(
            parsing: Array(
                (#"{"name": "\#(name)", "kind": "function", "image": "https://files.example/a/\#(packed)@sha256:"#
                    + #"\#(digest)", "function": {\#(settings)}, \#(files)}"#).utf8))
    }

    @Test func anUnmodifiedBootstrapFromAZipAnswersOnABaseImageThatItCannotChange() throws {
        let node = try FunctionNode(image: fetcher)
        let first = try function("web", version: "one")
        try node.run([first])
        let answer = node.call("/web")
        #expect(answer.status == 200 && answer.text == "one", "\(answer) \(node.lines)")
        #expect(node.call("/web?mode=where").text == "/var/task 1", "it starts there, with the base image's programs")
        #expect(node.call("/web?mode=files").text == "bootstrap function.sh version", "and sees nothing else there")
        #expect(node.call("/web?mode=env").text == "/var/task function.handler")
        #expect(node.call("/web?mode=write").text == "only /tmp")

        // Another zip is another revision, on the same base image.
        let second = try function("web", version: "two")
        try node.run([second])
        #expect(node.settle { node.call("/web").text == "two" }, "\(node.lines)")
        let requests = fetcher.requests.withLock { $0 }
        #expect(requests.map { $0.file == .zip } == [true, false, true], "the base image is fetched once: \(requests)")
        let last = Set(try #require(requests.last).inUse)
        let needed = [first.revision.image.digest, first.revision.function?.baseImage?.digest].compactMap(\.self)
        #expect(last.isSuperset(of: needed), "what is in use, or is gone back to, is not collected: \(last)")

        try node.assign([])
        #expect(node.settle { (try? Files.list(node.places.bundles)) == [] }, "\(node.lines)")
        #expect(node.instances.isEmpty)
        let left = node.scratch.mounts.filter { !$0.hasSuffix("node-net") && !$0.hasSuffix("groups") }
        #expect(left.isEmpty, "\(left)")
    }

    @Test func aZipThatCannotRunIsAReasonAndTheOldOneStays() throws {
        let node = try FunctionNode(image: emptyFetcher)
        try node.run([try function("web", version: "one")])
        try node.assign([try function("web", version: "broken", mode: 0o644)])
        try node.wait { reports in
            reports.contains { $0.reason.contains("no-bootstrap at 'bootstrap': it cannot be executed") }
        }
        #expect(node.call("/web").text == "one")
    }

    @Test func anImageInPlaceOfAZipIsRefusedWithTheField() throws {
        let node = try FunctionNode(image: fetcher)
        let base = "registry.example/provided@sha256:\(Fixture.imageDigest)"
        let zip = try function("web", version: "one")
        let settings = #", "kind": "function", "function": {"base_image": "\#(base)"}"#
        try node.assign([try Fixture.workload("imaged", settings), zip])
        try node.wait { reports in
            reports.contains { $0.phase == .failed && $0.reason.contains("'image' is no zip") }
                && reports.contains { $0.name.rawValue == "web" && $0.phase == .running }
        }
    }
}
