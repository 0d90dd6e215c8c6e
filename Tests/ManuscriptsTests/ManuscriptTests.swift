import Manuscripts
import Testing
import Workloads

@Suite struct ManuscriptTests {
    @Test func everyMistakeIsNamedWithItsLine() throws {
        let text = """
            name: Web
            image: registry.example/web:1
            comand: [x]
            volumes:
              - type: volume
                source: data
                target: /proc/x
                volume: {size: 1m}
            healthcheck:
              http:
                prot: 80
            """
        let error = #expect(throws: ManuscriptError.self) { try read(text) }
        let problems = try #require(error).problems
        func line(_ beginning: String) -> Int? { problems.first { $0.reason.hasPrefix(beginning) }?.line }
        #expect(line("name:") == 1)
        #expect(line("comand:") == 3)
        #expect(line("volumes[0].target:") == 7)
        #expect(line("healthcheck.http.prot:") == 11)
        #expect(line("healthcheck.http.port:") == 10, "what is missing is told where it would stand")
        let said = try #require(error).description
        #expect(said.hasPrefix("web.yaml has \(problems.count) mistakes:\n"))
        #expect(said.contains("  line 3: comand: is not a known field; the nearest known one is 'command'"))
    }

    @Test func wordsThatCannotBeReadStandBesideOtherMistakes() {
        let text = "name: no\nimage: registry.example/web:1\ntti: true\nmode: 0755\nhostname: 07\n"
        #expect(mistakes(text).map(\.line) == [1, 3, 4, 5])
        #expect(mistakes("yes\n").isEmpty == false)
    }

    @Test func mistakesOfAJSONFileHaveLinesToo() {
        let text = "{\n  \"name\": \"web\",\n  \"image\": \"registry.example/web:1\",\n  \"tti\": true\n}\n"
        #expect(mistakes(text, file: "web.json").map(\.line) == [4])
        #expect(mistakes("{\"name\": \"web\",\n}", file: "web.json").first?.reason.contains("line 2") == true)
        #expect(mistakes("name: web\n", file: "web.json").first?.reason.contains("not valid JSON") == true)
    }

    @Test func documentsOfOneFileComeInTheOrderOfTheirLinks() throws {
        let text = """
            name: front
            image: r.example/front:1
            links: [api]
            ---
            name: api
            image: r.example/api:1
            exposed_ports: [80]
            depends_on: [db]
            ---
            name: db
            image: r.example/db:1
            """
        #expect(try read(text).map(\.workload.name.rawValue) == ["db", "api", "front"])
        let circle = text + "\ndepends_on: [front]\n"
        #expect(mistakes(circle).first?.reason.contains("circle") == true)
    }

    @Test func mistakesOfAllDocumentsAreGathered() {
        let text = web("tty: maybe") + "---\n" + web("hostname: UPPER") + "---\nname: c\nimage: nowhere\n"
        #expect(mistakes(text).map(\.line) == [3, 7, 10])
        #expect(mistakes(web() + "---\n" + web()).first?.line == 4)
    }

    @Test func composeFileIsToldFromADocument() {
        let found = mistakes("# compose\nservices:\n  web:\n    image: nginx\n  db:\n    image: postgres\n")
        #expect(found.map(\.line) == [2])
        #expect(found.first?.reason.contains("document of its own") == true)
    }

    @Test func documentIsSentAsItWasWritten() throws {
        let document = try #require(try read(web("cpus: 1.50")).first).document
        #expect(
            String(decoding: document.json, as: UTF8.self)
                == #"{"cpus":1.50,"image":"registry.example/web:1","name":"web"}"#)
        #expect(try Workload(parsing: document.json, requiresDigest: false).name.rawValue == "web")
    }
}
