public import Decisions
import Release

/// A slot whose blocks may be copied instead of fetched, found by their hashes: the running one, as a rule.
///
/// Nothing of it is believed: each block is verified against the new tree before it is written. It is never written.
public final class SlotDonor {
    let partitions: SlotPartitions
    let tree: VerityTree
    /// The first 8 bytes of each leaf hash with its block, sorted: 12 bytes a block instead of a dictionary's 60.
    private let keys: [UInt64]
    private let blocks: [UInt32]

    /// Reads and verifies the slot's tree; throws where it is not that of the image.
    public init(_ partitions: SlotPartitions, image: BootArguments.SlotImage) throws {
        self.partitions = partitions
        let tree = try partitions.readTree(of: image)
        self.tree = tree
        let pairs = (0..<UInt32(image.blocks)).map { (key: Self.key(tree.leafHash(UInt64($0))), block: $0) }
            .sorted { ($0.key, $0.block) < ($1.key, $1.block) }
        keys = pairs.map(\.key)
        blocks = pairs.map(\.block)
    }

    private static func key(_ hash: ArraySlice<UInt8>) -> UInt64 {
        hash.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A block with this leaf hash, preferably `expected`, so that runs of blocks stay runs.
    func block(withHash hash: ArraySlice<UInt8>, expected: UInt64?) -> UInt64? {
        if let expected, expected < UInt64(blocks.count), tree.leafHash(expected) == hash { return expected }
        let key = Self.key(hash)
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        while low < keys.count, keys[low] == key {
            if tree.leafHash(UInt64(blocks[low])) == hash { return UInt64(blocks[low]) }
            low += 1
        }
        return nil
    }
}
