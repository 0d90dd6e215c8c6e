import Contract
import Images
import Testing

@Suite struct CollectionTests {
    static func digest(_ number: UInt8) -> Digest256 {
        guard let digest = Digest256(bytes: [UInt8](repeating: number, count: 32)) else {
            preconditionFailure("32 bytes")
        }
        return digest
    }
    static func image(_ number: UInt8, used: Int64, layers: Set<UInt8>, size: UInt64 = 100) -> CollectionPlan.Image {
        CollectionPlan.Image(
            digest: digest(number), layers: Set(layers.map(digest)), sizeBytes: size, usedSeconds: used)
    }
    static let images = [
        image(1, used: 10, layers: [11, 12]), image(2, used: 900, layers: [11, 13]), image(3, used: 20, layers: [14]),
    ]
    static let layers = Dictionary(uniqueKeysWithValues: (11...15).map { (digest(UInt8($0)), UInt64(10)) })

    private func plan(
        pinned: Set<UInt8> = [], inUse: Set<UInt8> = [], now: Int64 = 1000, keep: Int64 = 500, budget: UInt64? = nil
    ) -> CollectionPlan {
        CollectionPlan(
            images: Self.images, layers: Self.layers, pinned: Set(pinned.map(Self.digest)),
            inUse: Set(inUse.map(Self.digest)), nowSeconds: now, keepSeconds: keep, budgetBytes: budget)
    }

    @Test func unusedImagesGoOldestFirstWithTheirOwnLayers() {
        let plan = plan()
        #expect(plan.images == [Self.digest(1), Self.digest(3)])
        #expect(plan.layers == [12, 14, 15].map { Self.digest($0) })
        #expect(plan.freedBytes == 230)
    }

    @Test func pinnedAndUsedImagesStay() {
        let plan = plan(pinned: [1, 9], inUse: [3], budget: 0)
        #expect(plan.images == [Self.digest(2)])
        #expect(plan.layers == [13, 15].map { Self.digest($0) })
    }

    @Test func aBudgetTakesNoMoreThanItNeeds() {
        #expect(plan(keep: 10_000).images == [])
        #expect(plan(keep: 10_000, budget: 400).images == [])
        #expect(plan(keep: 10_000, budget: 330).images == [Self.digest(1)])
        #expect(plan(keep: 10_000, budget: 120).images == [Self.digest(1), Self.digest(3)])
        #expect(plan(keep: 10_000, budget: 0).images == [1, 3, 2].map { Self.digest($0) })
    }

    @Test func aClockThatWentBackRemovesNothing() {
        #expect(plan(now: -5_000).images == [])
    }
}
