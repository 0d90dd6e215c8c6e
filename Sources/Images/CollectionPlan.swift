public import Contract

/// Which images and layers of a store go: a pure decision over what is there.
public struct CollectionPlan: Sendable, Equatable {
    /// An image of the store, as the decision needs it.
    public struct Image: Sendable, Equatable {
        /// The manifest's digest, by which it is stored.
        public var digest: Digest256
        /// The layers it was made of.
        public var layers: Set<Digest256>
        /// What its file system takes on the disk, in bytes.
        public var sizeBytes: UInt64
        /// When it was last used, in seconds since 1970.
        public var usedSeconds: Int64

        /// Describes an image.
        public init(digest: Digest256, layers: Set<Digest256>, sizeBytes: UInt64, usedSeconds: Int64) {
            self.digest = digest
            self.layers = layers
            self.sizeBytes = sizeBytes
            self.usedSeconds = usedSeconds
        }
    }

    /// The images that go, the one that was unused for longest first.
    public var images: [Digest256]
    /// The layers that go, sorted.
    public var layers: [Digest256]
    /// What that frees, in bytes.
    public var freedBytes: UInt64

    /// Decides.
    ///
    /// An image that is pinned or in use never goes. Of the others those go that were not used since
    /// `keepSeconds` ago, and then, oldest first, as many as it takes until the rest fits `budgetBytes`. Packed layers
    /// go once no image that stays was made of them: they only save a later image the transfer.
    ///
    /// - Parameters:
    ///   - images: what the store has.
    ///   - layers: the packed layers that the store has, with their sizes in bytes.
    ///   - pinned: the digests of images that must stay, whether they are there or not.
    ///   - inUse: the digests of images that are mounted or wanted by a workload.
    ///   - nowSeconds: the time, in seconds since 1970.
    ///   - keepSeconds: how long an image may be unused.
    ///   - budgetBytes: what images and layers together may take; nil where only their age counts.
    public init(
        images: [Image], layers: [Digest256: UInt64], pinned: Set<Digest256>, inUse: Set<Digest256>, nowSeconds: Int64,
        keepSeconds: Int64, budgetBytes: UInt64? = nil
    ) {
        let needed = pinned.union(inUse)
        let candidates = images.filter { !needed.contains($0.digest) }.sorted {
            ($0.usedSeconds, $0.digest.description) < ($1.usedSeconds, $1.digest.description)
        }
        var gone: Set<Digest256> = []
        func orphans() -> [Digest256: UInt64] {
            let kept = images.filter { !gone.contains($0.digest) }.reduce(into: Set<Digest256>()) {
                $0.formUnion($1.layers)
            }
            return layers.filter { !kept.contains($0.key) }
        }
        var order: [Digest256] = []
        func remove(_ image: Image) {
            order.append(image.digest)
            gone.insert(image.digest)
        }
        // A clock that went back makes no image old.
        for image in candidates where nowSeconds - image.usedSeconds > keepSeconds { remove(image) }
        if let budgetBytes {
            for image in candidates where !gone.contains(image.digest) {
                let kept = images.filter { !gone.contains($0.digest) }.reduce(UInt64(0)) { $0 + $1.sizeBytes }
                let packed = layers.values.reduce(0, +) - orphans().values.reduce(0, +)
                if kept + packed <= budgetBytes { break }
                remove(image)
            }
        }
        let orphaned = orphans()
        self.images = order
        self.layers = orphaned.keys.sorted { $0.description < $1.description }
        freedBytes =
            images.filter { gone.contains($0.digest) }.reduce(UInt64(0)) { $0 + $1.sizeBytes }
            + orphaned.values.reduce(0, +)
    }
}
