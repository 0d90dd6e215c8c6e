import Contract
import Images
import Testing

private let digest = String(repeating: "ab", count: 32)

@Suite struct ReferenceTests {
    static let good: [(String, String)] = [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("registry.example/app", "registry.example/app:latest"),
        ("Registry.Example:5000/a/b__c/d-e--f.g:v1.0_x-Y", "registry.example:5000/a/b__c/d-e--f.g:v1.0_x-Y"),
        ("registry.example:5000/app", "registry.example:5000/app:latest"),
        ("[fd00::1]:5000/app:x", "[fd00::1]:5000/app:x"),
        ("app@sha256:" + digest, "docker.io/library/app@sha256:" + digest),
        ("r.example/app:1@sha256:" + digest, "r.example/app:1@sha256:" + digest),
    ]

    @Test(arguments: good) func whatOtherToolsAcceptIsAcceptedAndHasOneCanonicalText(text: String, canonical: String)
        throws
    {
        let reference = try ImageReference(parsing: text)
        #expect(reference.description == canonical)
        #expect(try ImageReference(parsing: canonical) == reference)
    }

    @Test(arguments: [
        "", "/", "app/", "/app", "a//b", "App", "team/App", "a..b", "a___b", "-a", "a-", "a.-b", "app:", "app:.x",
        "app:-x",
        "app:" + String(repeating: "x", count: 129), "app@", "app@sha256:", "app@sha256:ABCD", "app@md5:" + digest,
        "app@sha256:" + digest + "0", "r.example:0/app", "r.example:65536/app", "r.example:x/app", "r..example/app",
        "-r.example/app", "[fd00::1/app", "[]/app", "[zz::]/app", "a b", "app\n", "ápp", "r.example/../app",
        "https://r.example/app", "user@r.example/app", String(repeating: "a/", count: 128) + "a",
    ])
    func whatIsNoReferenceIsRefused(text: String) {
        #expect(throws: ImageError.self) { try ImageReference(parsing: text) }
    }

    @Test func pinningKeepsTheTagAndNamesTheDigest() throws {
        let found = try #require(Digest256(hex: digest))
        let pinned = try ImageReference(parsing: "r.example/app:1").pinned(to: found)
        #expect(pinned.digest == found)
        #expect(pinned.description == "r.example/app:1@sha256:" + digest)
    }
}
