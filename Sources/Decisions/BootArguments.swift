public import Contract

/// What the kernel command line tells `apus-init`: signed as a part of the UKI, or given by our own kexec.
public struct BootArguments: Sendable, Equatable {
    /// What the UKI is for.
    public enum Mode: Sendable, Equatable {
        /// The boot artifact: provision, repair or recover.
        case provision
        /// A slot's UKI.
        case slot(SlotImage)
    }

    /// The root filesystem that a slot's UKI starts.
    public struct SlotImage: Sendable, Equatable {
        /// The dm-verity root hash.
        public var rootHash: Digest256
        /// The dm-verity salt.
        public var salt: [UInt8]
        /// The size in blocks of 4096 bytes.
        public var blocks: UInt64
        /// The release's version.
        public var version: String

        /// Describes an image.
        public init(rootHash: Digest256, salt: [UInt8], blocks: UInt64, version: String) {
            self.rootHash = rootHash
            self.salt = salt
            self.blocks = blocks
            self.version = version
        }
    }

    /// What the UKI is for.
    public var mode: Mode
    /// The slot that our kexec started; nil after a start by the firmware.
    public var kexecSlot: SlotName?
    /// Whether our kexec started this kernel.
    public var isKexec: Bool
    /// The endpoint, where the command line names one.
    public var endpoint: String?

    /// Makes arguments from their parts.
    public init(mode: Mode, kexecSlot: SlotName? = nil, isKexec: Bool = false, endpoint: String? = nil) {
        self.mode = mode
        self.kexecSlot = kexecSlot
        self.isKexec = isKexec
        self.endpoint = endpoint
    }

    /// Why a command line was refused, as a sentence.
    public struct ParseError: Error, Sendable, Equatable, CustomStringConvertible {
        /// The sentence.
        public var description: String
    }

    /// Reads `/proc/cmdline`. Words that are not ours are passed over; of a word given twice, the last counts.
    public init(commandLine: some StringProtocol) throws(ParseError) {
        var words: [Substring: Substring] = [:]
        for word in String(commandLine).split(whereSeparator: \.isWhitespace) where word.hasPrefix("apus.") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            words[parts[0]] = parts.count == 2 ? parts[1] : ""
        }
        isKexec = words["apus.kexec"] == "1"
        kexecSlot = words["apus.slot"].flatMap { SlotName(rawValue: String($0)) }
        endpoint = words["apus.endpoint"].map(String.init)
        switch words["apus.mode"] {
        case "provision": mode = .provision
        case "slot":
            guard let root = words["apus.root"].flatMap({ Digest256(hex: $0) }) else {
                throw ParseError(description: "apus.root= is not a root hash of 64 hexadecimal digits")
            }
            guard let salt = words["apus.salt"].flatMap({ [UInt8](lowercaseHex: $0) }), salt.count <= 256 else {
                throw ParseError(description: "apus.salt= is not a salt of at most 512 hexadecimal digits")
            }
            guard let blocks = words["apus.blocks"].flatMap({ UInt64($0) }), blocks > 0 else {
                throw ParseError(description: "apus.blocks= is not a number of blocks")
            }
            let version = words["apus.version"].map(String.init) ?? ""
            mode = .slot(SlotImage(rootHash: root, salt: salt, blocks: blocks, version: version))
        default: throw ParseError(description: "the command line has no apus.mode=provision or apus.mode=slot")
        }
    }
}
