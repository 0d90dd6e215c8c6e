import Images
import Testing

@Suite struct ChallengeTests {
    typealias Challenge = AuthenticationChallenge
    static let cases: [(String, Challenge?)] = [
        (
            #"Bearer realm="https://a.example/token",service="r.example",scope="repository:a/b:pull,push""#,
            .bearer(realm: "https://a.example/token", service: "r.example", scope: "repository:a/b:pull,push")
        ),
        (
            #"bearer Realm = "https://a.example/t" , service=plain"#,
            .bearer(realm: "https://a.example/t", service: "plain", scope: nil)
        ),
        (#"Basic realm="x""#, .basic),
        (
            #"Basic realm="x", Bearer realm="https://a.example/t""#,
            .bearer(realm: "https://a.example/t", service: nil, scope: nil)
        ),
        (#"Negotiate, Basic realm="a \"quoted\", Bearer realm=x""#, .basic),
        (
            #"Bearer realm="https://a.example/t",realm="https://evil.example/t""#,
            .bearer(realm: "https://a.example/t", service: nil, scope: nil)
        ),
        (#"Bearer realm="""#, nil),
        ("Bearer", nil),
        ("", nil),
        ("Digest realm=\"x\"", nil),
        ("\"", nil),
    ]

    @Test(arguments: cases) func aChallengeIsUnderstood(header: String, expected: Challenge?) {
        #expect(Challenge(header: header) == expected)
    }

    @Test func aChallengeThatIsTooLongIsNotLookedAt() {
        #expect(Challenge(header: String(repeating: "Basic ", count: 10_000)) == nil)
    }
}
