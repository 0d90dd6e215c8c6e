public import Contract
public import Fetch
internal import Release

/// A manifest or index as it came, with the digest that its bytes have.
public struct FoundDocument: Sendable, Equatable {
    /// The bytes.
    public let bytes: [UInt8]
    /// Their SHA-256, computed here.
    public let digest: Digest256
    /// What the source says that they are; nil where it does not say.
    public let mediaType: String?

    /// Takes the bytes and computes their digest.
    public init(bytes: [UInt8], mediaType: String?) {
        self.bytes = bytes
        digest = Digest256(hashing: bytes)
        self.mediaType = mediaType
    }
}

/// Where images come from: a registry or a local archive. Nothing that it gives is believed before its digest was
/// computed here.
public protocol ImageSource: AnyObject {
    /// What a reference's digest or, without one, its tag names; of at most `limitBytes`.
    func find(_ reference: ImageReference, limitBytes: Int, cancellation: Cancellation?) throws -> FoundDocument

    /// The manifest or index that a descriptor names.
    func document(
        _ descriptor: Descriptor, of reference: ImageReference, limitBytes: Int, cancellation: Cancellation?
    ) throws -> FoundDocument

    /// Gives a blob's bytes from `offset` on. Where the source cannot start there it throws
    /// `FetchError.rangeNotServed` before the first byte. Gives up to the descriptor's size, never more.
    func blob(
        _ descriptor: Descriptor, of reference: ImageReference, from offset: UInt64, cancellation: Cancellation?,
        onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws

    /// Tells the source that what it gave last for a descriptor does not have its digest: it is to be had elsewhere.
    func reject(_ descriptor: Descriptor)
}

extension ImageSource {
    /// A source with one place has no other.
    public func reject(_ descriptor: Descriptor) {}
}
