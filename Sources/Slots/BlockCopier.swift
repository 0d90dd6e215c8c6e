import Cryptography
import Linux
import Release

/// Assembles blocks from other slots, each verified against the new tree.
final class BlockCopier {
    private let donors: [SlotDonor]
    private let tree: VerityTree
    private let zeroHash: [UInt8]

    init(donors: [SlotDonor], tree: VerityTree) {
        self.donors = donors
        self.tree = tree
        var hasher = tree.hasher()
        zeroHash = hasher.hash([UInt8](repeating: 0, count: VerityLayout.blockBytes))
    }

    private enum Origin: Equatable {
        case zero
        case donor(Int, UInt64)
    }

    /// Puts all blocks of `runs` at their places in `plain`, which starts at block `frameStart`.
    ///
    /// False where a block is nowhere to be had, or a donor does not return what its tree promises.
    func copy(
        _ runs: [Range<UInt64>], frameStart: UInt64, into plain: UnsafeMutableRawBufferPointer
    ) throws -> Bool {
        var origins: [(block: UInt64, origin: Origin)] = []
        for run in runs {
            for block in run {
                guard let origin = origin(of: block, after: origins.last) else { return false }
                origins.append((block, origin))
            }
        }
        var start = 0
        while start < origins.count {
            var end = start + 1
            while end < origins.count, follows(origins[end], origins[end - 1]) { end += 1 }
            guard try fill(origins[start], count: end - start, frameStart: frameStart, plain) else { return false }
            start = end
        }
        return true
    }

    private func origin(of block: UInt64, after last: (block: UInt64, origin: Origin)?) -> Origin? {
        let hash = tree.leafHash(block)
        if hash.elementsEqual(zeroHash) { return .zero }
        for (index, donor) in donors.enumerated() {
            var expected = block
            if let last, last.block + 1 == block, case .donor(index, let before) = last.origin { expected = before + 1 }
            if let found = donor.block(withHash: hash, expected: expected) { return .donor(index, found) }
        }
        return nil
    }

    private func follows(_ next: (block: UInt64, origin: Origin), _ last: (block: UInt64, origin: Origin)) -> Bool {
        guard next.block == last.block + 1 else { return false }
        switch (last.origin, next.origin) {
        case (.zero, .zero): return true
        case (.donor(let one, let from), .donor(let other, let to)): return one == other && to == from + 1
        default: return false
        }
    }

    private func fill(
        _ first: (block: UInt64, origin: Origin), count: Int, frameStart: UInt64,
        _ plain: UnsafeMutableRawBufferPointer
    ) throws -> Bool {
        let size = VerityLayout.blockBytes
        let start = Int(first.block - frameStart) * size
        let bytes = UnsafeMutableRawBufferPointer(rebasing: plain[start..<start + count * size])
        guard case .donor(let index, let block) = first.origin else {
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            return true
        }
        do {
            try donors[index].partitions.root.read(at: block * UInt64(size), into: bytes)
        } catch {
            // A donor that cannot be read costs a download, not the upgrade.
            return false
        }
        var hasher = tree.hasher()
        return tree.firstMismatch(in: UnsafeRawBufferPointer(bytes), firstBlock: first.block, hasher: &hasher) == nil
    }
}
