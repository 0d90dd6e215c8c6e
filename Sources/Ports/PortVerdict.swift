/// What the policy says of a port, a device and whoever wants it, with the rule that says so.
public struct PortVerdict: Sendable, Hashable {
    /// Whether anything is allowed.
    public var isAllowed: Bool
    /// The numbers of the interfaces that are allowed; of an Ethernet port, which has none, empty.
    public var interfaces: Set<UInt8>
    /// How it is handed over; nil where the host's own drivers have it, or nothing is allowed.
    public var mode: PortBinding.Mode?
    /// What decided.
    public var rule: Rule

    /// What can decide.
    public enum Rule: Sendable, Hashable {
        /// The node itself needs the port.
        case hostReserved
        /// An explicit rule against it.
        case denied(String)
        /// A grant and a binding.
        case granted(grant: String, binding: String)
        /// It is the host's, and was there from the beginning.
        case ownDevice
        /// A hub, through which others are reached and judged.
        case hub
        /// There is a binding, and no grant that is valid now.
        case noGrant
        /// There is a grant that ended.
        case expired(String)
        /// There is a grant, and no binding.
        case noBinding
        /// Another has it for themselves.
        case taken(String)
        /// No rule speaks of it.
        case nothing
    }

    /// The verdict: host-reserved, then explicit deny, then grant **and** binding, then deny. Ties deny; no rule depends
    /// on the order of rules.
    ///
    /// - Parameters:
    ///   - device: what is in the port; nil for an Ethernet port.
    ///   - subject: who wants it.
    ///   - memberships: for a user, the roles of the site that they have.
    ///   - seconds: the time in seconds since 1970. The caller gives the latest that was ever seen, so that a clock that
    ///     jumps back revives nothing.
    public static func decide(
        _ policy: PortPolicy, port: Port, device: PortDevice?, subject: PortSubject,
        memberships: Set<String> = [], seconds: Int64
    ) -> PortVerdict {
        if port.isHostReserved, subject != .host { return no(.hostReserved) }
        let names = [subject] + memberships.sorted().map(PortSubject.group)
        let isOf: (PortSubject) -> Bool = { names.contains($0) }
        // Interfaces that no deny is about; one that is about the whole device leaves none.
        var open = Set((device?.interfaces ?? []).map(\.number))
        var denies: [String] = []
        for rule in policy.denies
        where (rule.subject.map(isOf) ?? true) && rule.ports.covers(port) && rule.match.covers(device) {
            guard let device, !rule.match.interfaces.isEmpty else {
                denies.append(rule.id)
                open = []
                continue
            }
            let hit = device.interfaces.filter(rule.match.denies).map(\.number)
            if !hit.isEmpty { denies.append(rule.id) }
            open.subtract(hit)
        }
        if let first = denies.min(), device == nil || open.isEmpty { return no(.denied(first)) }
        if subject == .host { return host(policy, port, device, open, seconds, denied: denies.min()) }
        return granted(policy, port, device, open, isOf, seconds, denied: denies.min())
    }

    // MARK: - Parts

    private static func no(_ rule: Rule) -> PortVerdict {
        PortVerdict(isAllowed: false, interfaces: [], mode: nil, rule: rule)
    }

    /// What the node's own drivers may have beside what is bound to them.
    private static func host(
        _ policy: PortPolicy, _ port: Port, _ device: PortDevice?, _ open: Set<UInt8>, _ seconds: Int64,
        denied: String?
    ) -> PortVerdict {
        guard let device else {
            guard !port.isHostReserved else { return PortVerdict(isAllowed: true, interfaces: [], rule: .hostReserved) }
            return granted(policy, port, nil, open, { $0 == .host }, seconds, denied: denied)
        }
        if device.isHub { return PortVerdict(isAllowed: true, interfaces: open, rule: .hub) }
        let isKnown = policy.registered.contains(RegisteredDevice(port: port.id, descriptorHash: device.descriptorHash))
        // A keyboard on the console could type what it likes: only where the site says so.
        let own =
            !isKnown
            ? []
            : device.interfaces.filter { interface in
                open.contains(interface.number)
                    && (policy.allowsConsoleKeyboard || !interface.classes.contains { $0.code == USBClass.hid })
            }
        var verdict = granted(policy, port, device, open, { $0 == .host }, seconds, denied: denied)
        guard !own.isEmpty else { return verdict }
        // What is its own it has whatever else it is granted: otherwise a rule against the one could open the other.
        verdict.isAllowed = true
        verdict.interfaces.formUnion(own.map(\.number))
        verdict.mode = nil
        verdict.rule = port.isHostReserved ? .hostReserved : .ownDevice
        return verdict
    }

    private static func granted(
        _ policy: PortPolicy, _ port: Port, _ device: PortDevice?, _ open: Set<UInt8>,
        _ isOf: (PortSubject) -> Bool, _ seconds: Int64, denied: String?
    ) -> PortVerdict {
        var (valid, over): ([(id: String, interfaces: Set<UInt8>)], [String]) = ([], [])
        for grant in policy.grants where isOf(grant.subject) {
            guard let role = policy.roles[grant.role], role.verbs.contains(.use), role.ports.covers(port) else {
                continue
            }
            let interfaces = allowed(role.matches, device, open)
            guard let interfaces else { continue }
            if let until = grant.untilSeconds, until <= seconds {
                over.append(grant.id)
            } else {
                valid.append((grant.id, interfaces))
            }
        }
        let bindings = policy.bindings.filter { binding in
            isOf(binding.consumer) && binding.ports.covers(port) && binding.match.covers(device)
        }
        guard let grant = valid.map(\.id).min() else {
            if let denied { return no(.denied(denied)) }
            if let ended = over.min() { return no(.expired(ended)) }
            return no(bindings.isEmpty ? .nothing : .noGrant)
        }
        let granted = valid.reduce(into: Set<UInt8>()) { $0.formUnion($1.interfaces) }
        // Of several bindings the first by name counts: two forms at once are never meant.
        guard let binding = bindings.min(by: { $0.id < $1.id }) else { return no(.noBinding) }
        if let other = rival(of: binding, policy, port, device, isOf) { return no(.taken(other)) }
        guard let device else {
            return PortVerdict(
                isAllowed: true, interfaces: [], mode: binding.mode, rule: .granted(grant: grant, binding: binding.id))
        }
        let interfaces = granted.intersection(allowed([binding.match], device, open) ?? [])
        // usbfs knows no bounds within a device: all of it, or nothing.
        guard !interfaces.isEmpty,
            binding.mode != .raw || interfaces.count == Set(device.interfaces.map(\.number)).count
        else { return no(denied.map(Rule.denied) ?? .noGrant) }
        return PortVerdict(
            isAllowed: true, interfaces: interfaces, mode: binding.mode,
            rule: .granted(grant: grant, binding: binding.id))
    }

    /// The open interfaces that one of some matches allows; nil where none of them is about the device.
    private static func allowed(
        _ matches: Set<PortMatch>, _ device: PortDevice?, _ open: Set<UInt8>
    ) -> Set<UInt8>? {
        guard !matches.isEmpty else { return open }
        let fitting = matches.filter { $0.covers(device) }
        guard !fitting.isEmpty else { return nil }
        guard let device else { return [] }
        let numbers = device.interfaces.filter { interface in fitting.contains { $0.allows(interface) } }.map(\.number)
        let left = open.intersection(numbers)
        return left.isEmpty ? nil : left
    }

    /// Another consumer's exclusive binding of the same thing. Two exclusive ones shut each other out: ties deny.
    private static func rival(
        of binding: PortBinding, _ policy: PortPolicy, _ port: Port, _ device: PortDevice?,
        _ isOf: (PortSubject) -> Bool
    ) -> String? {
        policy.bindings.filter { other in
            !isOf(other.consumer) && (other.isExclusive || binding.isExclusive) && other.ports.covers(port)
                && other.match.covers(device)
        }.map(\.id).min()
    }
}

extension PortVerdict {
    fileprivate init(isAllowed: Bool, interfaces: Set<UInt8>, rule: Rule) {
        self.init(isAllowed: isAllowed, interfaces: interfaces, mode: nil, rule: rule)
    }
}
