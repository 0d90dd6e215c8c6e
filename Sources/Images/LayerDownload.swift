internal import Contract
internal import Cryptography
internal import Fetch
internal import Linux

/// Brings one packed layer into a store: goes on where an earlier attempt stopped, even before a power cut, and gives the
/// layer its name only once its digest was verified and its bytes were flushed.
struct LayerDownload {
    let store: ImageStore
    let source: any ImageSource
    let reference: ImageReference
    let descriptor: Descriptor
    let cancellation: Cancellation?
    let pause: (Int, Cancellation?) throws -> Void

    /// How often wrong bytes are fetched again, from another server where there is one.
    static let mismatches = 3
    /// How often a transfer that breaks off is taken up again at most, even if each time a few bytes come.
    static let attempts = 1000

    /// Brings it; `report` is told how many of its bytes are there.
    func run(report: (UInt64) -> Void) throws {
        let final = store.layerPath(descriptor.digest)
        if Files.status(final, followSymbolicLinks: false)?.sizeBytes == descriptor.sizeBytes {
            return report(descriptor.sizeBytes)
        }
        let path = store.partialPath(descriptor.digest)
        let file = try OwnedDescriptor(opening: path, [.read, .write, .create, .noFollow])
        var arrival = try Arrival(file, of: descriptor)
        try ImageStore.requireSpace(descriptor.sizeBytes - arrival.bytes, at: store.path)
        for attempt in 1...Self.mismatches {
            let resumed = arrival.bytes > 0
            try complete(&arrival, file, report)
            let found = try arrival.digest()
            if found == descriptor.digest { break }
            let wrong = ImageError.digestMismatch(what: "a layer", expected: descriptor.digest, found: found)
            // What a power cut left behind may be wrong without any fault of the server.
            if !resumed { source.reject(descriptor) }
            try arrival.restart(file)
            if attempt == Self.mismatches { throw wrong }
        }
        try file.sync()
        try file.close()
        try Files.renameDurably(path, to: final)
    }

    /// Fetches until all bytes are there, with pauses between attempts that are counted from the last byte that came.
    private func complete(
        _ arrival: inout Arrival, _ file: borrowing OwnedDescriptor, _ report: (UInt64) -> Void
    ) throws {
        var backoff = Backoff()
        var attempts = 0
        while arrival.bytes < descriptor.sizeBytes {
            let before = arrival.bytes
            attempts += 1
            do {
                try source.blob(descriptor, of: reference, from: before, cancellation: cancellation) { piece in
                    try arrival.append(piece, to: file)
                    report(arrival.bytes)
                }
                guard arrival.bytes == descriptor.sizeBytes else {
                    throw FetchError.interrupted("\(arrival.bytes) of \(descriptor.sizeBytes) bytes arrived")
                }
            } catch let error {
                let failure = Self.fetchError(error)
                if case .rangeNotServed? = failure, before > 0, arrival.bytes == before, attempts < Self.attempts {
                    try arrival.restart(file)
                    continue
                }
                guard let failure, failure.isTransient, attempts < Self.attempts else { throw error }
                if arrival.bytes > before { backoff.reset() }
                guard let delay = backoff.next(random: UInt64.random(in: 0...UInt64.max)) else { throw error }
                try pause(delay, cancellation)
            }
        }
    }

    private static func fetchError(_ error: any Error) -> FetchError? {
        if case .transfer(let inner)? = error as? ImageError { inner } else { error as? FetchError }
    }

    /// The bytes that are in the file, and their hash so far.
    private struct Arrival: ~Copyable {
        private(set) var bytes: UInt64 = 0
        private let sizeBytes: UInt64
        private var hasher = SHA256Hasher()

        /// Takes over what is in the file from before.
        init(_ file: borrowing OwnedDescriptor, of descriptor: Descriptor) throws {
            sizeBytes = descriptor.sizeBytes
            let there = try file.status().sizeBytes
            if there > sizeBytes { try file.truncate(to: 0) }
            while there <= sizeBytes, bytes < there {
                let piece = try file.read(atMost: 256 << 10)
                if piece.isEmpty { break }
                hasher.update(piece)
                bytes += UInt64(piece.count)
            }
        }

        mutating func append(_ piece: UnsafeRawBufferPointer, to file: borrowing OwnedDescriptor) throws {
            guard UInt64(piece.count) <= sizeBytes - bytes else {
                throw ImageError.tooLarge(what: "a layer", limitBytes: sizeBytes)
            }
            try file.write(piece, at: bytes)
            hasher.update(piece)
            bytes += UInt64(piece.count)
        }

        mutating func restart(_ file: borrowing OwnedDescriptor) throws {
            try file.truncate(to: 0)
            _ = hasher.finish()
            bytes = 0
        }

        /// The digest of what arrived; starts the hash anew.
        mutating func digest() throws -> Digest256 {
            guard let digest = Digest256(bytes: hasher.finish()) else { throw ImageError.store("no digest") }
            return digest
        }
    }
}
