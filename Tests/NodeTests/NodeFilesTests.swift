import Contract
import Linux
import Node
import TestSupport
import Testing

@Suite struct NodeFilesTests {
    func withFiles(_ body: (NodeFiles) throws -> Void) throws {
        let scratch = try Scratch()
        let files = NodeFiles(stateMountedAt: scratch.path)
        try files.prepare()
        try body(files)
    }

    @Test func othersCannotReadThem() throws {
        try withFiles { files in
            try files.write("secret", .key)
            #expect(Files.status(files.directory)?.mode == 0o700)
            #expect(Files.status(files.path(.key))?.mode == 0o600)
            #expect(try files.text(.key) == "secret")
        }
    }

    @Test func missingIsNotDamaged() throws {
        try withFiles { files in
            #expect(try files.value(NetworkSettings.self, .network) == nil)
            try files.write(NetworkSettings(vlan: 7), as: .network)
            #expect(try files.value(NetworkSettings.self, .network)?.vlan == 7)
            try files.write("{", .network)
            let error = #expect(throws: NodeError.self) { try files.value(NetworkSettings.self, .network) }
            #expect(error?.description.contains("network.json") == true)
            try files.remove(.network)
            #expect(try files.text(.network) == nil)
        }
    }
}
