/// The kernel's command line, parsed as the kernel does: words parted by blanks, a value in double quotes may hold
/// blanks (Documentation/admin-guide/kernel-parameters.rst).
public struct KernelArguments: Sendable, Equatable {
    /// The words in order, as name and value; the value of a bare word is empty.
    public let words: [Word]

    /// One word.
    public struct Word: Sendable, Equatable {
        /// What stands before the first `=`.
        public var name: String
        /// What stands after it, without quotes.
        public var value: String
    }

    /// Parses a command line; at most 4096 bytes of it are looked at, which is more than any kernel here accepts.
    public init(_ line: some StringProtocol) {
        var words: [Word] = []
        var current: [UInt8] = []
        var isQuoted = false
        func finish() {
            guard !current.isEmpty else { return }
            let parts = current.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(decoding: parts[1], as: UTF8.self) : ""
            words.append(Word(name: String(decoding: parts[0], as: UTF8.self), value: value))
            current = []
        }
        for byte in line.utf8.prefix(4096) {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: " ") where !isQuoted, UInt8(ascii: "\t") where !isQuoted, UInt8(ascii: "\n"): finish()
            default: current.append(byte)
            }
        }
        finish()
        self.words = words
    }

    /// The last value given for a name, as the kernel takes it; nil where the name does not occur.
    public subscript(name: String) -> String? { words.last { $0.name == name }?.value }

    /// All values given for a name, in order.
    public func all(_ name: String) -> [String] { words.filter { $0.name == name }.map(\.value) }
}

/// What the kernel command line tells Apus: `apus.…` words.
public struct BootArguments: Sendable, Equatable {
    /// What this start is for.
    public var mode: Mode
    /// The provisioning endpoint, `apus.endpoint`.
    public var endpoint: String?
    /// Network settings, `apus.network`, not yet parsed.
    public var network: String?
    /// The slot, when kexec started it: `apus.slot`.
    public var slot: String?
    /// Whether kexec and not the firmware started this kernel: `apus.kexec=1`.
    public var isKexec: Bool
    /// A fault that a rehearsal asks for: `apus.fault`.
    public var fault: String?

    /// What a start is for.
    public enum Mode: Sendable, Equatable {
        /// The boot artifact: decide, repair, provision.
        case provision
        /// A slot: verify, mount, switch root. The text forms of root hash, salt, block count and version.
        case slot(rootHash: String, salt: String, blocks: UInt64, version: String)
        /// Not a command line of ours, and why.
        case unknown(String)
    }

    /// Reads the words of a command line.
    public init(_ arguments: KernelArguments) {
        endpoint = arguments["apus.endpoint"]
        network = arguments["apus.network"]
        slot = arguments["apus.slot"]
        isKexec = arguments["apus.kexec"] == "1"
        fault = arguments["apus.fault"]
        switch arguments["apus.mode"] {
        case "provision":
            mode = .provision
        case "slot":
            guard let root = arguments["apus.root"], let salt = arguments["apus.salt"],
                let blocks = arguments["apus.blocks"].flatMap(UInt64.init), blocks > 0
            else {
                mode = .unknown("apus.mode=slot needs apus.root, apus.salt and apus.blocks")
                return
            }
            mode = .slot(
                rootHash: root, salt: salt, blocks: blocks, version: arguments["apus.version"] ?? "unknown")
        case let other:
            mode = .unknown("apus.mode is '\(other ?? "")', not 'provision' or 'slot'")
        }
    }
}
