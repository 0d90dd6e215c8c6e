import Contract
import TestSupport
import Testing

@testable import Decisions

@Suite struct PartitionPlans {
    private func request(
        gibibytes: UInt64 = 8, sector: Int = 512, layout: DiskLayout = .standard, release: ReleaseFacts? = nil,
        existing: [ExistingPartition] = [], keepsState: Bool = false
    ) -> PartitioningRequest {
        PartitioningRequest(
            disk: "vda", diskSizeBytes: gibibytes << 30, sectorSizeBytes: sector, layout: layout, architecture: .amd64,
            release: release, existing: existing, keepsState: keepsState)
    }

    private func plan(_ request: PartitioningRequest, seed: UInt64 = 3) throws -> PartitionPlan {
        var generator = SeededGenerator(seed: seed)
        return try PartitionPlanner.plan(request, using: &generator)
    }

    private func existing(_ plan: PartitionPlan) -> [ExistingPartition] {
        plan.partitions.map {
            ExistingPartition(
                number: $0.number, uuid: $0.uuid, type: $0.type, label: $0.label, startBytes: $0.startBytes,
                sizeBytes: $0.sizeBytes)
        }
    }

    @Test(arguments: [512, 4096]) func theStandardLayoutFitsEightGigabytes(sector: Int) throws {
        let plan = try plan(request(gibibytes: 8, sector: sector))
        #expect(plan.partitions.map(\.role) == PartitionRole.allCases)
        #expect(plan.partitions.map(\.number) == Array(1...9))
        #expect(Set(plan.partitions.map(\.uuid)).count == 9)
        var end: UInt64 = 1 << 20
        for partition in plan.partitions {
            #expect(partition.startBytes == end, "nothing overlaps and nothing is wasted")
            #expect(partition.startBytes.isMultiple(of: 1 << 20) && partition.sizeBytes.isMultiple(of: 1 << 20))
            end = partition.startBytes + partition.sizeBytes
        }
        #expect(end <= plan.diskSizeBytes - UInt64(sector) * 5)
        #expect(plan[.state].map { $0.sizeBytes >= 1 << 30 } == true)
        #expect(plan[.rootA]?.label == "apus-root-a")
        #expect(!plan.keepsTable)
    }

    @Test func eightDecimalGigabytesAreEnough() throws {
        var request = request()
        request.diskSizeBytes = 8_000_000_000 / 512 * 512
        _ = try plan(request)
    }

    @Test func aTableThatFitsIsKeptToTheLastByte() throws {
        let first = try plan(request())
        let again = try plan(request(existing: existing(first), keepsState: true))
        #expect(again.keepsTable && again.keepsState)
        #expect(again.partitions == first.partitions)
    }

    @Test func aTableThatDoesNotFitIsReplacedOnlyWhereStateIsNotKept() throws {
        let first = try plan(request())
        var larger = DiskLayout.standard
        larger.rootBytes += 1 << 20
        #expect(throws: PartitionRefusal.self) {
            try plan(request(layout: larger, existing: existing(first), keepsState: true))
        }
        let replaced = try plan(request(layout: larger, existing: existing(first)), seed: 4)
        #expect(!replaced.keepsTable)
        #expect(replaced[.rootA]?.uuid != first[.rootA]?.uuid)
        var others = existing(first)
        others[4].label = "data"
        #expect(try !plan(request(existing: others)).keepsTable)
        var double = existing(first)
        double[1].uuid = double[2].uuid
        #expect(try !plan(request(existing: double)).keepsTable)
    }

    @Test func whatCannotBeIsRefusedWithASentenceThatSaysWhatToDo() throws {
        func sentence(_ request: PartitioningRequest) -> String {
            do {
                _ = try plan(request)
                return ""
            } catch { return "\(error)" }
        }
        #expect(sentence(request(gibibytes: 4)).contains("take a larger disk"))
        #expect(sentence(request(gibibytes: 0)).contains("too small"))
        #expect(sentence(request(sector: 520)).contains("512 and 4096"))
        var layout = DiskLayout.standard
        layout.bootBytes = 100 << 20
        #expect(sentence(request(sector: 4096, layout: layout)).contains("FAT32"))
        layout.bootBytes = 0
        #expect(sentence(request(layout: layout)).contains("impossible size"))
        layout = .standard
        layout.rootBytes = .max
        #expect(sentence(request(layout: layout)).contains("impossible size"))
        layout.rootBytes = 1 << 60
        #expect(sentence(request(layout: layout)).contains("too small"))
        let large = Fixture.facts(1, blocks: 1 << 20)
        #expect(sentence(request(release: large)).contains("root filesystem"))
    }

    @Test func rolesAndTypesHaveTheirForm() {
        for role in PartitionRole.allCases {
            #expect(PartitionRole(label: role.label) == role)
            for architecture in [Architecture.amd64, .arm64] {
                #expect(GUID(role.type(architecture).text) == role.type(architecture))
            }
        }
        #expect(PartitionRole(label: "data") == nil)
        #expect(GUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") == PartitionRole.recovery.type(.amd64))
        for text in ["", "c12a7328f81f11d2ba4b00a0c93ec93b", "g12a7328-f81f-11d2-ba4b-00a0c93ec93b"] {
            #expect(GUID(text) == nil)
        }
        var generator = SeededGenerator(seed: 4)
        let random = GUID.random(using: &generator)
        #expect(GUID(random.text) == random)
        #expect(Array(random.text)[14] == "4" && "89ab".contains(Array(random.text)[19]))
    }
}

@Suite struct DiskChoices {
    private func disk(
        _ name: String, gibibytes: UInt64 = 100, transport: String = "nvme", serial: String = "s", model: String = "m",
        removable: Bool = false, medium: Bool = false, content: Inventory.Disk.Content = .blank, sector: Int = 512
    ) -> Inventory.Disk {
        Inventory.Disk(
            name: name, sizeBytes: gibibytes << 30, sectorSizeBytes: sector, transport: transport, model: model,
            serial: serial, wwn: "", isRemovable: removable, isBootMedium: medium, isRotational: false, content: content
        )
    }

    private func choose(
        _ disks: [Inventory.Disk], _ rule: DiskRule = DiskRule(), installed: String? = nil, foreign: Bool = false
    ) throws -> String {
        try DiskChoice.choose(
            among: disks, by: rule, requiredBytes: 8 << 30, installed: installed, isForeignSite: foreign
        ).name
    }

    @Test func theSmallestThatFitsIsTakenWhateverTheKernelCallsIt() throws {
        let disks = [disk("sda", gibibytes: 200), disk("sdb", gibibytes: 100, serial: "2"), disk("sdc", serial: "1")]
        #expect(try choose(disks) == "sdc")
        #expect(try choose(disks.reversed()) == "sdc")
    }

    @Test func theNodesOwnDiskIsKept() throws {
        let disks = [disk("sda", gibibytes: 50), disk("sdb", content: .apus)]
        #expect(try choose(disks, installed: "sdb") == "sdb")
        #expect(try choose(disks, installed: "sdb", foreign: true) == "sda")
    }

    @Test func everyRefusalNamesTheDiskAndTheReason() {
        let cases: [(Inventory.Disk, DiskRule, String)] = [
            (disk("sda", removable: true), DiskRule(), "sda is removable"),
            (disk("sda", medium: true), DiskRule(), "sda is the medium"),
            (disk("sda", transport: "usb"), DiskRule(), "attached by usb"),
            (disk("sda", transport: "sata"), DiskRule(transports: ["nvme"]), "not nvme"),
            (disk("sda", gibibytes: 4), DiskRule(), "fewer than"),
            (disk("sda"), DiskRule(minimumSizeBytes: 1 << 40), "fewer than"),
            (disk("sda"), DiskRule(maximumSizeBytes: 1 << 30), "more than"),
            (disk("sda"), DiskRule(serial: "x"), "not 'x'"),
            (disk("sda"), DiskRule(model: "x"), "not a 'x'"),
            (disk("sda", sector: 520), DiskRule(), "sectors of 520"),
            (disk("sda", content: .foreign), DiskRule(), "foreign data"),
            (disk("sda", content: .apus), DiskRule(), "another Apus installation"),
        ]
        for (disk, rule, words) in cases {
            do {
                _ = try choose([disk], rule)
                Issue.record("taken in spite of: \(words)")
            } catch { #expect("\(error)".contains(words), "\(error)") }
        }
        #expect(throws: DiskChoice.NoneFits.self) { try choose([]) }
    }

    @Test func foreignDataIsOverwrittenOnlyWhereThePlanSaysSo() throws {
        #expect(try choose([disk("sda", content: .foreign)], DiskRule(overwriteForeignData: true)) == "sda")
        #expect(try choose([disk("sda", transport: "usb")], DiskRule(transports: ["usb"])) == "sda")
    }
}
