import Contract
import Ports
import TestSupport
import Testing

struct PortVerdictTests {
    private let place = "usb:0000:00:14.0/1.4"

    private func port(_ text: String? = nil, reserved: Bool = false, label: String? = nil) throws -> Port {
        Port(
            id: try #require(PortID(text ?? place)), label: label, standing: .configurable, isHostReserved: reserved)
    }

    private let storage = PortMatch(interfaces: [.init(code: 8)])

    private func policy(_ change: (inout PortPolicy) throws -> Void = { _ in }) throws -> PortPolicy {
        var policy = PortPolicy(
            roles: ["sticks": PortRole(verbs: [.see, .use], matches: [storage])],
            grants: [PortGrant(id: "g", subject: .workload("backup"), role: "sticks", untilSeconds: 1000)],
            bindings: [
                PortBinding(id: "b", consumer: .workload("backup"), ports: PortSelector(kind: .usb), mode: .block)
            ])
        try change(&policy)
        return policy
    }

    private func decide(
        _ policy: PortPolicy, _ device: [UInt8]? = Device.stick, _ subject: PortSubject = .workload("backup"),
        port: Port? = nil, seconds: Int64 = 0, hash: UInt8 = 1
    ) throws -> PortVerdict {
        PortVerdict.decide(
            policy, port: try port ?? self.port(), device: try device.map { try Device.of($0, hash: hash) },
            subject: subject, seconds: seconds)
    }

    @Test func nothingIsAllowedByAnEmptyPolicyButHubs() throws {
        for device in Device.all {
            for subject in [PortSubject.host, .user("maria"), .workload("backup")] {
                let verdict = try decide(PortPolicy(), device, subject)
                #expect(verdict.isAllowed == (device == Device.hub && subject == .host))
            }
        }
        let ethernet = try port("eth:0000:02:00.0/0")
        #expect(try !decide(PortPolicy(), nil, .workload("backup"), port: ethernet).isAllowed)
        #expect(try !decide(PortPolicy(), nil, .host, port: ethernet).isAllowed, "a port is down until it is granted")
    }

    @Test func grantAndBindingTogetherAllowAndEachAloneDoesNot() throws {
        let both = try decide(try policy())
        #expect(both.isAllowed && both.interfaces == [0] && both.mode == .block)
        #expect(both.rule == .granted(grant: "g", binding: "b"))
        #expect(try decide(try policy { $0.bindings = [] }).rule == .noBinding)
        #expect(try decide(try policy { $0.grants = [] }).rule == .noGrant)
        #expect(try decide(try policy(), Device.stick, .workload("other")).rule == .nothing)
        #expect(try decide(try policy(), Device.stick, .host).isAllowed == false)
    }

    @Test func grantEndsAtItsTime() throws {
        #expect(try decide(try policy(), seconds: 999).isAllowed)
        #expect(try decide(try policy(), seconds: 1000).rule == .expired("g"))
    }

    @Test func grantedStickThatIsAKeyboardTooHasNoKeyboard() throws {
        let verdict = try decide(try policy(), Device.badStick)
        #expect(verdict.isAllowed && verdict.interfaces == [0])
        // One that was granted as it was is another device now.
        let exact = try policy { policy in
            let digest = try #require(Digest256(bytes: [UInt8](repeating: 1, count: 32)))
            policy.roles["sticks"]?.matches = [PortMatch(descriptorHash: digest)]
        }
        #expect(try decide(exact, Device.stick).isAllowed)
        #expect(try !decide(exact, Device.badStick, hash: 2).isAllowed)
    }

    @Test func rawAccessIsForWholeDevicesOnly() throws {
        let raw = try policy { policy in
            policy.bindings = [
                PortBinding(id: "b", consumer: .workload("backup"), ports: PortSelector(), mode: .raw)
            ]
        }
        #expect(try decide(raw, Device.stick).isAllowed)
        #expect(try !decide(raw, Device.badStick).isAllowed)
        let whole = try policy { policy in
            policy.roles["sticks"]?.matches = []
            policy.bindings = raw.bindings
        }
        #expect(try decide(whole, Device.badStick).interfaces == [0, 1])
    }

    @Test func deviceOfRegistrationIsTheHostsInItsOwnPortAndItsKeysOnlyIfTheSiteSaysSo() throws {
        let digest = try #require(Digest256(bytes: [UInt8](repeating: 1, count: 32)))
        var policy = PortPolicy(
            registered: [RegisteredDevice(port: try #require(PortID(place)), descriptorHash: digest)])
        #expect(try decide(policy, Device.camera, .host).interfaces == [0, 1])
        #expect(try !decide(policy, Device.camera, .host, hash: 2).isAllowed, "another device that took its place")
        #expect(try !decide(policy, Device.camera, .host, port: port("usb:0000:00:14.0/2")).isAllowed)
        #expect(try !decide(policy, Device.keyboard, .host).isAllowed)
        policy.allowsConsoleKeyboard = true
        #expect(try decide(policy, Device.keyboard, .host).isAllowed)
        #expect(try !decide(policy, Device.keyboard, .user("maria")).isAllowed)
    }

    @Test func twoWhoWantItForThemselvesBothGetNothing() throws {
        let policy = try policy { policy in
            policy.grants.insert(PortGrant(id: "g2", subject: .workload("other"), role: "sticks"))
            policy.bindings.insert(
                PortBinding(id: "b2", consumer: .workload("other"), ports: PortSelector(), mode: .block))
        }
        #expect(try decide(policy).rule == .taken("b2"))
        #expect(try decide(policy, Device.stick, .workload("other")).rule == .taken("b"))
    }

    @Test func membersOfAGroupHaveWhatItIsGranted() throws {
        var policy = try policy()
        policy.grants = [PortGrant(id: "g", subject: .group("technician"), role: "sticks")]
        policy.bindings = [
            PortBinding(id: "b", consumer: .group("technician"), ports: PortSelector(labels: ["front"]), mode: .block)
        ]
        let (device, front) = (try Device.of(Device.stick), try port(label: "front"))
        func verdict(_ memberships: Set<String>, _ port: Port) -> Bool {
            PortVerdict.decide(
                policy, port: port, device: device, subject: .user("maria"), memberships: memberships, seconds: 0
            ).isAllowed
        }
        #expect(verdict(["technician"], front) && !verdict([], front))
        #expect(!verdict(["technician"], try port()))
    }

    @Test(arguments: [
        "usb:0000:00:14.0/1", "usb:0000:00:14.0/1.4.2", "eth:0000:02:00.0/0", "usb:platform-fe9c0000.usb/1",
        "usb:0000:00:14.0/1.1.1.1.1.1.7",
    ]) func readsPlaces(_ text: String) throws { #expect(try #require(PortID(text)).description == text) }

    @Test(arguments: [
        "", "usb", "usb:", "usb:/1", "usb:a/", "usb:a/0", "usb:a/1.", "usb:a/.1", "usb:a/01", "usb:a/256",
        "usb:a/1.1.1.1.1.1.1.1",
        "eth:a/1.2", "eth:a/x", "tty:a/1", "USB:a/1", "usb:A/1", "usb:a b/1", "usb:a/+1", "usb:a/1\n", "usb:ä/1",
    ]) func refusesPlaces(_ text: String) { #expect(PortID(text) == nil) }
}

/// Policies of chance, and what must hold for every one.
struct PortVerdictProperties {
    private struct Case {
        var policy: PortPolicy
        var port: Port
        var device: PortDevice?
        var subject: PortSubject
        var memberships: Set<String>
        var seconds: Int64

        func verdict(_ policy: PortPolicy? = nil) -> PortVerdict {
            PortVerdict.decide(
                policy ?? self.policy, port: port, device: device, subject: subject, memberships: memberships,
                seconds: seconds)
        }
    }

    private static let subjects: [PortSubject] = [.host, .user("a"), .user("b"), .group("g"), .workload("w")]

    private static func random(_ chance: inout SeededGenerator) throws -> Case {
        let ids = try ["usb:c/1", "usb:c/2", "eth:c/0"].map { try #require(PortID($0)) }
        func flip() -> Bool { Bool.random(using: &chance) }
        func selector() -> PortSelector {
            PortSelector(
                ids: flip() ? nil : Set([ids.randomElement(using: &chance) ?? ids[0]]),
                labels: flip() || flip() ? nil : ["front"], kind: flip() || flip() ? nil : .usb)
        }
        func digest() throws -> Digest256 {
            try #require(Digest256(bytes: [UInt8](repeating: UInt8.random(in: 1...2, using: &chance), count: 32)))
        }
        func match() throws -> PortMatch {
            PortMatch(
                vendor: flip() ? nil : 0x1209, product: flip() || flip() ? nil : .random(in: 1...4, using: &chance),
                serial: flip() || flip() ? nil : "1", descriptorHash: flip() || flip() ? nil : try digest(),
                interfaces: flip() ? [] : [.init(code: [3, 8, 14].randomElement(using: &chance) ?? 3)])
        }
        func subject() -> PortSubject { subjects.randomElement(using: &chance) ?? .host }
        func some<Rule: Hashable>(_ limit: Int, _ make: (String) throws -> Rule) rethrows -> Set<Rule> {
            Set(try (0..<Int.random(in: 0...limit, using: &chance)).map { try make("r\($0)") })
        }
        var policy = PortPolicy(allowsConsoleKeyboard: flip())
        policy.denies = try some(2) { id in
            PortDeny(id: id, subject: flip() ? nil : subject(), ports: selector(), match: try match())
        }
        for name in ["one", "two"] {
            let matches = try some(2) { _ in try match() }
            policy.roles[name] = PortRole(
                verbs: flip() || flip() ? [.use] : [.see], ports: selector(), matches: matches)
        }
        policy.grants = some(4) { id in
            PortGrant(id: id, subject: subject(), role: flip() ? "one" : "two", untilSeconds: flip() ? nil : 500)
        }
        policy.bindings = try some(3) { id in
            PortBinding(
                id: id, consumer: subject(), ports: selector(), match: flip() ? PortMatch() : try match(),
                mode: flip() ? .block : .raw, isExclusive: flip())
        }
        policy.registered = try some(2) { _ in
            RegisteredDevice(port: ids.randomElement(using: &chance) ?? ids[0], descriptorHash: try digest())
        }
        let port = Port(
            id: ids.randomElement(using: &chance) ?? ids[0], label: flip() ? "front" : nil, standing: .configurable,
            isHostReserved: Int.random(in: 0..<5, using: &chance) == 0)
        let bytes = Device.all.randomElement(using: &chance) ?? Device.stick
        let device =
            port.id.kind == .ethernet
            ? nil : try Device.of(bytes, serial: flip() ? "1" : nil, hash: .random(in: 1...2, using: &chance))
        return Case(
            policy: policy, port: port, device: device, subject: subject(), memberships: flip() ? ["g"] : [],
            seconds: .random(in: 0...1000, using: &chance))
    }

    private func forEachCase(_ body: (Case, inout SeededGenerator) throws -> Void) throws {
        var chance = SeededGenerator(seed: 7)
        var allowed = 0
        for _ in 0..<4000 {
            let sample = try Self.random(&chance)
            if sample.verdict().isAllowed { allowed += 1 }
            try body(sample, &chance)
        }
        #expect(allowed > 60, "chance makes enough that is allowed: \(allowed)")
    }

    @Test func addingADenyNeverAllowsAndDenyingEverythingAlwaysDenies() throws {
        try forEachCase { sample, chance in
            let before = sample.verdict()
            var policy = sample.policy
            policy.denies.formUnion(
                try Self.random(&chance).policy.denies.map { rule in
                    PortDeny(id: "more-" + rule.id, subject: rule.subject, ports: rule.ports, match: rule.match)
                })
            let after = sample.verdict(policy)
            #expect(!after.isAllowed || before.isAllowed)
            #expect(after.interfaces.isSubset(of: before.interfaces))
            policy.denies.insert(PortDeny(id: "all"))
            #expect(!sample.verdict(policy).isAllowed)
        }
    }

    @Test func nobodyButTheHostReachesAReservedPort() throws {
        try forEachCase { sample, _ in
            var sample = sample
            sample.port.isHostReserved = true
            if sample.subject != .host {
                #expect(sample.verdict().rule == .hostReserved && !sample.verdict().isAllowed)
            }
        }
    }

    @Test func grantThatEndedIsAsGoodAsNone() throws {
        try forEachCase { sample, _ in
            var policy = sample.policy
            policy.grants = policy.grants.filter { $0.untilSeconds.map { $0 > sample.seconds } ?? true }
            let (before, after) = (sample.verdict(), sample.verdict(policy))
            #expect(before.isAllowed == after.isAllowed && before.interfaces == after.interfaces)
        }
    }

    /// Time only takes away.
    @Test func nothingIsAllowedLaterThatWasNotBefore() throws {
        try forEachCase { sample, _ in
            var later = sample
            later.seconds += 400
            #expect(later.verdict().interfaces.isSubset(of: sample.verdict().interfaces))
            #expect(!later.verdict().isAllowed || sample.verdict().isAllowed)
        }
    }

    @Test func orderOfRulesDoesNotMatter() throws {
        try forEachCase { sample, _ in
            var policy = PortPolicy(
                version: sample.policy.version, registered: Set(sample.policy.registered.shuffled()),
                allowsConsoleKeyboard: sample.policy.allowsConsoleKeyboard)
            for rule in sample.policy.denies.shuffled() { policy.denies.insert(rule) }
            for (name, role) in sample.policy.roles.shuffled() { policy.roles[name] = role }
            for rule in sample.policy.grants.shuffled() { policy.grants.insert(rule) }
            for rule in sample.policy.bindings.shuffled() { policy.bindings.insert(rule) }
            #expect(sample.verdict(policy) == sample.verdict())
        }
    }

    @Test func nobodyButTheHostHasAnythingWithoutGrantAndBinding() throws {
        try forEachCase { sample, _ in
            guard sample.subject != .host else { return }
            for without in [true, false] {
                var policy = sample.policy
                if without { policy.grants = [] } else { policy.bindings = [] }
                #expect(!sample.verdict(policy).isAllowed)
            }
        }
    }

    @Test func whatIsAllowedIsThere() throws {
        try forEachCase { sample, _ in
            let verdict = sample.verdict()
            let numbers = Set((sample.device?.interfaces ?? []).map(\.number))
            #expect(verdict.interfaces.isSubset(of: numbers))
            if sample.device != nil { #expect(verdict.isAllowed == !verdict.interfaces.isEmpty) }
            if verdict.mode == .raw, sample.device != nil { #expect(verdict.interfaces == numbers) }
        }
    }
}
