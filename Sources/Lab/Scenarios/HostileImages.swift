import Contract
import FoundationEssentials
import Operator

/// Images whose layers are hostile, in a registry that serves them as any other.
enum HostileImages {
    static let scenarios = [
        Scenario(
            "image-hostile", "every hostile layer is refused with its reason, and a good image runs beside them",
            needsInstalledNode: true
        ) { try refuse($0) }
    ]

    /// Uploads an image.
    static func push(_ image: HostileImage, _ play: AttackPlay) throws {
        let folder = play.lab.directory + "/hostile"
        try Files.makeFolder(folder)
        var paths: [String] = []
        for (number, layer) in image.layers().enumerated() {
            let path = "\(folder)/\(image.name)-\(number).tar"
            try Data(layer).write(to: URL(fileURLWithPath: path))
            paths.append(path)
        }
        try play.registry.upload("hostile-\(image.name)", layers: paths)
        for path in paths { try Files.remove(path) }
    }

    /// Applies a document with the image and returns the node's reason for refusing it.
    static func refusal(of image: HostileImage, _ play: AttackPlay) throws -> String {
        let name = "hostile-\(image.name)"
        try apply(image, play)
        let reason = try play.waitForRefusal(name, within: 300)
        try play.apus("workload", "delete", name, "--yes")
        return reason
    }

    private static func apply(_ image: HostileImage, _ play: AttackPlay) throws {
        let name = "hostile-\(image.name)"
        try play.apply(
            name, #"{"name": "\#(name)", "image": "\#(Registry.name)/\#(name):1", "command": ["/bin/app"]}"# + "\n")
    }

    private static func refuse(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let play = AttackPlay(lab)
        defer { play.registry.stop() }
        try play.prepare()
        try lab.step("upload \(HostileImage.all.count) hostile images") {
            for image in HostileImage.all { try push(image, play) }
        }
        var table: [String] = []
        var failed: [String] = []
        try lab.step("the node refuses all of them") {
            for image in HostileImage.all { try apply(image, play) }
            for image in HostileImage.all {
                let reason = try play.waitForRefusal("hostile-\(image.name)", within: 300)
                let isExpected = reason.contains(image.reason)
                if !isExpected { failed.append(image.name) }
                let padded = image.name.padding(to: 20) + image.reason.padding(to: 20)
                table.append("\(isExpected ? "refused" : "FAILED ") \(padded)\(reason.prefix(160))")
            }
        }
        lab.closing = table
        try lab.step("a good image runs all the same, and its set-user-id program has lost its bit") {
            try play.deploy([("attacker", AttackDocuments.attacker())])
            let mode = try play.exec("attacker", ["/bin/busybox", "stat", "-c", "%a", "/bin/set-user-id"])
            let isStripped = mode.hasPrefix("755")
            table.append("\(isStripped ? "changed" : "FAILED ") \("set-user-id".padding(to: 20))mode \(mode.prefix(8))")
            if !isStripped { failed.append("set-user-id") }
        }
        lab.closing = table
        try lab.step("the agent is the same process, and reports") { try play.expectSameAgent() }
        guard failed.isEmpty else { throw LabError("not refused as expected: \(failed.joined(separator: ", "))") }
    }
}

extension String {
    /// Filled up with spaces.
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}
