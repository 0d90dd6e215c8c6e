import Testing

@testable import Workloads

@Suite struct WorkloadSets {
    static func problems(_ new: Workload, _ others: [Workload]) -> [String] {
        WorkloadSet.problems(with: new, beside: others).map(\.description)
    }

    @Test func aCircleIsRefusedWhenItsLastPartComes() throws {
        let a = try Fixture.workload("a", #", "depends_on": ["b"]"#)
        let b = try Fixture.workload("b", #", "links": ["c"]"#)
        let plain = try Fixture.workload("c", #", "exposed_ports": [80]"#)
        #expect(Self.problems(a, [b, plain]) == [])
        let closing = try Fixture.workload("c", #", "exposed_ports": [80], "depends_on": ["a"]"#)
        let expected = "depends_on: these workloads depend on each other in a circle: a → b → c → a"
        #expect(Self.problems(closing, [a, b, plain]) == [expected])
    }

    @Test func whatALinkOrADependencyNeedsMustBeThere() throws {
        let web = try Fixture.workload("web", #", "links": ["db"], "depends_on": ["cache"]"#)
        #expect(Self.problems(web, []).count == 2)
        let cache = try Fixture.workload("cache")
        let silent = Self.problems(web, [cache, try Fixture.workload("db")])
        #expect(silent == ["links[0]: 'db': has neither exposed_ports nor ports to connect to"])
        let db = try Fixture.workload("db", #", "exposed_ports": ["5432-5440", 5435], "ports": ["9000:80"]"#)
        #expect(Self.problems(web, [cache, db]) == [])
        #expect(db.revision.linkPorts.map(\.description) == ["80", "5432-5440"])
    }

    @Test func aPortThatWouldMeetAnotherIsRefused() throws {
        let one = try Fixture.workload("one", #", "ports": ["8080:80"]"#)
        let two = try Fixture.workload("two", #", "ports": ["192.0.2.1:8080:80"]"#)
        #expect(Self.problems(two, [one]) == ["ports[0]: '8080/tcp': belongs to 'one', and both run on every node"])
        // A new revision of the same workload keeps its port; one that runs elsewhere may meet it nowhere.
        #expect(Self.problems(one, [one]) == [])
        let elsewhere = try Fixture.workload(
            "two", #", "ports": ["8080:80"], "deploy": {"placement": {"nodes": ["n2"]}}"#)
        #expect(Self.problems(elsewhere, [one]) == [])
    }

    @Test func aScheduleThatNeverComesIsRefused() throws {
        let function = try Fixture.workload(
            "f", #", "kind": "function", "function": {"schedule": ["@daily", "0 0 31 2 *", "x"]}"#)
        let problems = Self.problems(function, [])
        #expect(problems.count == 2 && problems[0].hasPrefix("function.schedule[1]: '0 0 31 2 *' names a day"))
    }
}
