public import Contract
public import Fetch

/// Why an image was refused, or could not be had.
public enum ImageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reference is not one, and why.
    case reference(String)
    /// A manifest, index, configuration or layout is not valid, and why.
    case document(String)
    /// Bytes do not have the digest by which they were asked for.
    case digestMismatch(what: String, expected: Digest256, found: Digest256)
    /// Something is larger than its limit, in bytes.
    case tooLarge(what: String, limitBytes: UInt64)
    /// The image has nothing for this machine.
    case noPlatform(wanted: Platform, offered: [Platform])
    /// The registry or archive does not have it.
    case notFound(String)
    /// The registry does not let this client have it.
    case denied(String)
    /// The registry asks to send its credentials to a host that was not named for it.
    case credentialsWithheld(registry: String, host: String)
    /// The registry answers with what the specification does not allow.
    case registry(String)
    /// A transfer failed.
    case transfer(FetchError)
    /// A layer, counted from 0 at the bottom, has something that is not accepted; nil where the whole tree has it.
    case layer(LayerRefusal, layer: Int?)
    /// A function's zip has something that is not accepted.
    case zip(LayerRefusal)
    /// The file system that holds the store has too little room.
    case diskFull(neededBytes: UInt64, availableBytes: UInt64)
    /// A program that makes the image failed.
    case tool(String)
    /// The store is in use, or what is in it is not what was put there.
    case store(String)

    /// What is wrong and, where there is something to do, what, as a sentence.
    public var description: String {
        switch self {
        case .reference(let detail): "not an image reference: \(detail)"
        case .document(let detail): "the image is not valid: \(detail)"
        case .digestMismatch(let what, let expected, let found):
            "\(what) has the digest sha256:\(found), not sha256:\(expected) by which it was asked for"
        case .tooLarge(let what, let limit): "\(what) is larger than the \(limit) bytes that are accepted"
        case .noPlatform(let wanted, let offered):
            "the image has nothing for \(wanted); it has "
                + (offered.isEmpty ? "no platform at all" : offered.map(\.description).joined(separator: ", "))
        case .notFound(let what): "\(what) does not exist there"
        case .denied(let what): "access to \(what) is denied; check the registry's user name and password"
        case .credentialsWithheld(let registry, let host):
            "'\(registry)' wants its credentials sent to '\(host)'; name that host as its token host to allow it"
        case .registry(let detail): "the registry does not keep to the specification: \(detail)"
        case .transfer(let error): error.description
        case .layer(let refusal, let layer?): "layer \(layer + 1) is refused: \(refusal)"
        case .layer(let refusal, nil): "the image's files are refused: \(refusal)"
        case .zip(let refusal): "the zip is refused: \(refusal)"
        case .diskFull(let needed, let available):
            "the disk is full: \(needed) bytes are needed and \(available) are available; remove images or volumes"
        case .tool(let detail): "the file system cannot be made: \(detail)"
        case .store(let detail): "the image store: \(detail)"
        }
    }

    /// Whether the image itself is at fault, so that whoever fetches it again finds the same.
    public var isRefusal: Bool {
        switch self {
        case .document, .noPlatform, .layer: true
        default: false
        }
    }

    /// Whether the same pull may succeed later without anybody doing something about it.
    public var isTransient: Bool { if case .transfer(let error) = self { error.isTransient } else { false } }
}

/// What a layer has that is not accepted, where, and why.
public struct LayerRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// The reasons, by stable words for programs.
    public enum Reason: String, Sendable, CaseIterable {
        /// The path starts with `/`.
        case absolutePath = "absolute-path"
        /// The path has a component `..`.
        case parentPath = "parent-path"
        /// The path, a name in it or its depth is beyond the limits, or it is empty.
        case badPath = "bad-path"
        /// A hard link's target is not a file of the image.
        case badHardLink = "bad-hard-link"
        /// A symbolic link climbs above the image's root, or has no target.
        case escapingLink = "escaping-link"
        /// The path leads through a symbolic link.
        case throughLink = "through-link"
        /// The path leads through something that is not a directory.
        case throughFile = "through-file"
        /// A character or block device.
        case deviceNode = "device-node"
        /// A socket or something that tar does not know.
        case unknownKind = "unknown-kind"
        /// A set-user-id or set-group-id bit, or file capabilities, where the policy refuses them.
        case setID = "set-id"
        /// A whiteout that is not an empty file, names nothing, or hides in a directory's name.
        case whiteoutTrick = "whiteout-trick"
        /// Extended attributes that steer overlayfs.
        case overlayAttribute = "overlay-attribute"
        /// Extended attributes beyond the limits.
        case tooManyAttributes = "too-many-attributes"
        /// `/dev`, `/proc` or `/sys` is not a directory, or the root is not.
        case notADirectory = "not-a-directory"
        /// An owner beyond the user namespace's range.
        case ownerOutOfRange = "owner-out-of-range"
        /// More entries, or more bytes of names, than are accepted.
        case tooManyEntries = "too-many-entries"
        /// More bytes, unpacked, than are accepted.
        case tooLarge = "too-large"
        /// Unpacked it is so much larger than packed that it can only be a bomb.
        case compressionBomb = "compression-bomb"
        /// Compressed more than once.
        case nestedCompression = "nested-compression"
        /// Two entries of a zip have one name, or one has that of a directory above another.
        case duplicateEntry = "duplicate-entry"
        /// An entry of a zip is encrypted.
        case encrypted = "encrypted"
        /// A zip has no `bootstrap` that can be executed.
        case noBootstrap = "no-bootstrap"
        /// Not a tar archive or zip, or a damaged one.
        case malformed = "malformed"
    }

    /// The reason.
    public var reason: Reason
    /// The entry's path with everything but plain characters escaped; empty where it is about no single entry.
    public var path: String
    /// What exactly, as part of a sentence; may be empty.
    public var detail: String

    /// Makes a refusal; the path's bytes are made printable and cut to 256 characters.
    public init(_ reason: Reason, path: some Sequence<UInt8> = [UInt8](), detail: String = "") {
        self.reason = reason
        self.path = ImagePath.printable(path)
        self.detail = detail
    }

    /// The reason, the path and the detail, as part of a sentence.
    public var description: String {
        var text = reason.rawValue
        if !path.isEmpty { text += " at '\(path)'" }
        if !detail.isEmpty { text += ": \(detail)" }
        return text
    }
}
