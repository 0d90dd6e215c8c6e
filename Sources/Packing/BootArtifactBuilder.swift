public import Contract
internal import Glibc

/// Makes `apus-boot.efi` for a site: the base, and what the site's machines trust.
public struct BootArtifactBuilder: Sendable {
    /// Kernel, initramfs and stub.
    public var base: BaseArtifacts
    /// Programs to call.
    public var tools: BuildTools
    /// What machines believe: it becomes `/etc/apus/trust.json`.
    public var trust: SiteTrust
    /// Put on the kernel command line as `apus.endpoint=`, where the artifact alone shall say it.
    public var endpoint: String?
    /// More kernel arguments.
    public var extraArguments: [String]
    /// More initramfs segments: paths of archives.
    public var extraSegments: [String]
    /// Signs for Secure Boot.
    public var secureBoot: SecureBootKey?
    /// Time stamps of the build, in seconds since 1970.
    public var sourceDateSeconds: Int64

    /// Names the parts.
    public init(
        base: BaseArtifacts, tools: BuildTools, trust: SiteTrust, endpoint: String? = nil,
        extraArguments: [String] = [], extraSegments: [String] = [], secureBoot: SecureBootKey? = nil,
        sourceDateSeconds: Int64
    ) {
        self.base = base
        self.tools = tools
        self.trust = trust
        self.endpoint = endpoint
        self.extraArguments = extraArguments
        self.extraSegments = extraSegments
        self.secureBoot = secureBoot
        self.sourceDateSeconds = sourceDateSeconds
    }

    /// Builds the artifact, and puts it at `output` once it is whole.
    public func build(output: String) throws(PackingError) {
        try Files.makeParentDirectory(of: output)
        let scratch = try ScratchDirectory(beside: output)
        defer { scratch.remove() }
        let partial = scratch.path + "/boot.efi"
        try build(output: partial, scratch: scratch.path)
        // With a join token in it the artifact is a secret.
        if trust.token != nil, chmod(partial, 0o600) != 0 { throw .system("cannot protect '\(partial)'") }
        guard rename(partial, output) == 0 else { throw .system("cannot rename to '\(output)'") }
    }

    func build(output: String, scratch: String) throws(PackingError) {
        let segment = scratch + "/site.cpio"
        try Files.write(CPIO.archive(["/etc/apus/trust.json": try trustDocument()]), to: segment)
        var arguments = ["apus.mode=provision"]
        if let endpoint { arguments.append("apus.endpoint=\(try Self.checked(endpoint))") }
        let image = KernelImage(
            base: base, ukify: tools.ukify, secureBoot: secureBoot, scratch: scratch,
            sourceDateSeconds: sourceDateSeconds)
        try image.build(
            arguments: arguments + extraArguments, segments: [segment] + extraSegments, output: output)
    }

    private func trustDocument() throws(PackingError) -> [UInt8] {
        do {
            return try Wire.encode(trust)
        } catch {
            throw PackingError("cannot write trust.json: \(error)")
        }
    }

    private static func checked(_ endpoint: String) throws(PackingError) -> String {
        guard endpoint.hasPrefix("https://"), !endpoint.contains(where: { $0 == " " || $0 == "\"" }) else {
            throw PackingError("the endpoint '\(endpoint)' is not an https address")
        }
        return endpoint
    }
}
