import Manuscripts
import Testing
import Workloads

/// Reads a YAML text as a file of that name would be.
func read(_ text: String, file: String = "web.yaml") throws(ManuscriptError) -> [Manuscript] {
    try Manuscript.read(Array(text.utf8), file: file)
}

/// The mistakes that reading finds; none where it succeeds.
func mistakes(_ text: String, file: String = "web.yaml") -> [ManuscriptError.Problem] {
    do throws(ManuscriptError) {
        _ = try read(text, file: file)
        return []
    } catch {
        return error.problems
    }
}

/// A document that is in order, with more lines.
func web(_ lines: String...) -> String {
    (["name: web", "image: registry.example/web:1"] + lines).joined(separator: "\n") + "\n"
}

@Suite struct YAMLTests {
    @Test func everyFieldOfATypicalDocumentArrives() throws {
        let text = """
            # the shop's front
            name: web
            labels: {tier: front}
            image: registry.example/team/web:1.4   # resolved by the server
            command:
              - /bin/web
              - --listen=:80
            environment:
              PORT: 80
              RATIO: 0.50
              DEBUG: true
              MOTTO: "yes"
              SCRIPT: |
                line one
                line two
            ports: ["8080:80"]
            mem_limit: 128m
            cpus: 0.5
            egress:
              - to: "*.example.com"
                ports: [443]
            healthcheck:
              http: {port: 80, path: /health}
              interval: 5s
            """
        let workload = try #require(try read(text).first).workload
        #expect(workload.name.rawValue == "web")
        #expect(workload.labels == ["tier": "front"])
        #expect(workload.revision.image.tag == "1.4")
        #expect(workload.revision.command == ["/bin/web", "--listen=:80"])
        #expect(
            workload.revision.environment == [
                "PORT": "80", "RATIO": "0.50", "DEBUG": "true", "MOTTO": "yes", "SCRIPT": "line one\nline two\n",
            ])
        #expect(workload.revision.resources.memoryBytes == 128 << 20)
        #expect(workload.revision.healthCheck?.intervalMilliseconds == 5000)
    }

    @Test func yamlAndJSONOfOneDocumentAreOneRevision() throws {
        let yaml = try #require(try read(web("ports: ['8080:80']", "cpus: 0.25")).first).workload
        let json = #"{"name": "web", "image": "registry.example/web:1", "ports": ["8080:80"], "cpus": 0.25}"#
        #expect(try #require(try read(json, file: "standard input").first).workload == yaml)
        #expect(try #require(try read(json, file: "web.json").first).workload == yaml)
    }

    @Test(arguments: ["yes", "No", "on", "OFF", "y", "N"])
    func truthValuesOfOldYAMLAreRefusedAndTextInQuotesIsNot(_ word: String) throws {
        #expect(
            mistakes(web("environment:", "  A: b", "  FLAG: \(word)")) == [
                .init(
                    line: 5,
                    reason: "environment.FLAG: '\(word)' is a truth value for some programs and text for others: write "
                        + "true or false, or put it in quotes")
            ])
        let quoted = try #require(try read(web("environment: {FLAG: '\(word)', \(word): x}")).first).workload
        #expect(quoted.revision.environment == ["FLAG": word, word: "x"])
    }

    @Test(arguments: [
        "0755", "010", "00", "0o17", "+5", "1_000", "0x1F", "0b11", ".5", "5.", "1e3", "1.5E-3", ".inf", "-.INF",
        ".nan",
        "22:22", "12:30:45", "-0", "99999999999999999999", "1.00000000000000000000000000000000000000",
    ])
    func numbersOfMoreThanOneMeaningAreRefusedWithoutBeingRepeated(_ number: String) throws {
        let found = mistakes(web("environment: {KEY: \(number)}"))
        #expect(found.count == 1)
        #expect(found.first?.line == 3)
        #expect(found.first?.reason.hasPrefix("environment.KEY: ") == true)
        #expect(found.first?.reason.contains(number) == false, "what may be a secret is not repeated")
        #expect(mistakes(web("environment: {KEY: '\(number)'}")).isEmpty)
        #expect(mistakes(web("environment: {KEY: !!str \(number)}")).first?.reason.contains("tags") == true)
    }

    @Test(arguments: [
        "1.2.3", "10.0.0.1", "2026-11-23", "8080:80", "1-2", "-", "+", ".", "..", "-x", "1a", "0.0.0.0/0", "=", "Null1",
        "1:2::3", "127.0.0.1:8080:80", "nope", "12ab",
    ])
    func wordsThatOnlyBeginLikeNumbersAreText(_ word: String) throws {
        let workload = try #require(try read(web("command: [\(word)]")).first).workload
        #expect(workload.revision.command == [word])
    }

    @Test func restartNoIsAskedForInQuotes() throws {
        #expect(mistakes(web("restart: no")).first?.reason.hasPrefix("restart: 'no' is a truth value") == true)
        #expect(try #require(try read(web("restart: 'no'")).first).workload.revision.restart.condition == .no)
    }

    @Test func keysThatStandTwiceAreRefusedHoweverTheyAreWritten() {
        #expect(mistakes(web("ports: []", "ports: []")).map(\.line) == [3])
        #expect(mistakes(web("environment: {A: x, 'A': y}")).first?.reason.contains("'A'") == true)
        #expect(mistakes(web("environment: {1: x, '1': y}")).first?.reason.contains("'1'") == true)
        #expect(mistakes(#"{"name": "web", "name": "web"}"#).first?.reason.contains("stands twice") == true)
    }

    @Test func keysAreTextAndNothingElse() {
        for keys in ["[a]: x", "{a: b}: x", "? [a, b]\n: x", ": x", "<<: {a: b}", "!!int 1: x", "? {}\n: x"] {
            #expect(mistakes(web(keys)).isEmpty == false, "\(keys)")
        }
        #expect(mistakes(web("<<: {tty: true}")).first?.reason.contains("write the fields out") == true)
        #expect(mistakes(web("'<<': x")).first?.reason.contains("not a known field") == true)
    }

    @Test func tagsAreRefused() {
        for value in ["!!str x", "!!binary aGk=", "!!set {a}", "!own x", "!!float 1", "!!python/object:os.system [x]"] {
            let found = mistakes(web("hostname: \(value)"))
            #expect(found.contains { $0.line == 3 && $0.reason.contains("tags") }, "\(value): \(found)")
        }
    }

    @Test func tabsAndBrokenIndentationAreNamedWithTheirLine() {
        #expect(mistakes("name: web\n\timage: x\n") == [.init(line: 2, reason: "a tab: YAML is indented with spaces")])
        #expect(mistakes(web("ports:", "\t- '80:80'")).first?.line == 4)
        #expect(mistakes("name: web\n  image: x\n").first?.line == 2)
        #expect(mistakes("name: web\nimage\ntty: true\n").first.map { ($0.line ?? 0) >= 2 } == true)
        #expect(mistakes(web("command: [a, b")).first?.line != nil)
        #expect(
            mistakes(web("hostname: @x")).first
                == .init(line: 3, reason: "put text that begins with this character in quotes"))
        #expect(mistakes(web("command: [ls, *.txt]")).first?.reason.contains("in quotes") == true)
    }

    @Test func textThatIsNoTextIsRefused() throws {
        #expect(throws: ManuscriptError.self) { try Manuscript.read([0x6E, 0xFF, 0x3A], file: "x") }
        #expect(mistakes("name: we\u{1}b\n").first?.line == 1)
        #expect(mistakes("name: \"\\ud800\"\n").isEmpty == false)
        #expect(mistakes("").first?.reason == "there is no document in it")
        #expect(mistakes("# nothing\n---\n...\n---\n~\n").first?.reason == "there is no document in it")
        #expect(mistakes("- a\n- b\n").isEmpty == false)
        #expect(mistakes("just text\n").isEmpty == false)
    }

    @Test func sizesAndDepthAreBounded() {
        #expect(mistakes(web("# " + String(repeating: "x", count: 1 << 20))).first?.reason.contains("larger") == true)
        let deep = String(repeating: "[", count: 17) + String(repeating: "]", count: 17)
        #expect(mistakes(web("labels: \(deep)")).first?.reason.contains("deeper than 16") == true)
        for bracket in ["[", "{a: ", "- ", "? "] {
            #expect(mistakes(String(repeating: bracket, count: 100_000)).isEmpty == false)
        }
        let wide = "[" + String(repeating: "1,", count: 30_000) + "1]"
        #expect(mistakes(web("labels: \(wide)")).first?.reason.contains("too many values") == true)
        let many = String(repeating: "---\nname: a\nimage: r.example/a:1\n", count: 300)
        #expect(mistakes(many).first?.reason.contains("at most 256 documents") == true)
    }
}
