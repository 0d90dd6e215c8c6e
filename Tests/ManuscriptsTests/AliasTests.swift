import Manuscripts
import Testing
import Workloads

/// Aliases are convenient within one document, and a weapon without a bound.
@Suite struct AliasTests {
    @Test func aliasRepeatsAValueOfTheSameDocument() throws {
        let text = web("command: &words [a, b]", "entrypoint: *words")
        let revision = try #require(try read(text).first).workload.revision
        #expect(revision.entrypoint == ["a", "b"])
    }

    @Test func aliasOfAnotherDocumentIsRefused() {
        let first = web("command: &words [a]")
        #expect(mistakes(first + "---\nname: b\nimage: r.example/b:1\ncommand: *words\n").first?.line == 7)
        #expect(mistakes("&all {name: a, image: 'r.example/a:1'}\n---\n*all\n").isEmpty == false)
        #expect(mistakes(web("hostname: *nowhere")).first?.reason.contains("no anchor") == true)
    }

    @Test func bombOfAliasesIsRefusedBeforeItGrows() {
        var levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        for level in 1...12 {
            let ten = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            levels.append("a\(level): &a\(level) [\(ten)]")
        }
        let bomb = levels.joined(separator: "\n") + "\n"
        #expect(mistakes(bomb).first?.reason.contains("aliases") == true)
        #expect(mistakes(bomb + "? *a12\n: x\n").first?.reason.contains("aliases") == true)
    }

    @Test func smallBombIsStoppedByTheBoundOnValues() {
        var levels = ["a0: &a0 [\(Array(repeating: "x", count: 200).joined(separator: ", "))]"]
        for level in 1...8 { levels.append("a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]") }
        let bomb = levels.joined(separator: "\n") + "\n"
        #expect(mistakes(bomb).first?.reason.contains("too many values") == true)
        // As a key, it is compared by the library before anybody can look at it.
        #expect(mistakes(bomb + "? *a8\n: x\n? [*a8]\n: y\n").isEmpty == false)
    }

    @Test func anchorThatHoldsItselfIsRefused() {
        #expect(mistakes("&a [*a]\n").isEmpty == false)
        #expect(mistakes(web("command: &a [*a]")).isEmpty == false)
    }

    @Test func starsInTextAreNotCountedAsAliases() throws {
        let names = (0..<100).map { "  - {to: '*.e\($0).example.com', ports: [443]}" }.joined(separator: "\n")
        #expect(mistakes(web("command: [&a x, *a]", "egress:", names)).isEmpty)
    }
}
