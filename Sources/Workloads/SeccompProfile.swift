/// What a filter answers to a system call.
public enum SeccompAction: Sendable, Hashable {
    /// The call goes on.
    case allow
    /// The call fails with this number.
    case error(Int)
    /// The process is ended with SIGSYS.
    case kill

    var name: String {
        switch self {
        case .allow: "SCMP_ACT_ALLOW"
        case .error: "SCMP_ACT_ERRNO"
        case .kill: "SCMP_ACT_KILL_PROCESS"
        }
    }
}

/// A condition on one argument of a system call (`seccomp_rule_add(3)`). The whole 64 bits are compared.
public struct SeccompCondition: Sendable, Hashable {
    /// The argument, from 0.
    public var argument: Int
    /// How it is compared.
    public var comparison: Comparison

    /// The comparisons.
    public enum Comparison: Sendable, Hashable {
        /// Equal to the value.
        case equal(UInt64)
        /// Above the value.
        case above(UInt64)
        /// The bits of the mask equal the value.
        case masked(mask: UInt64, UInt64)
    }

    func holds(_ arguments: [UInt64]) -> Bool {
        let given = argument < arguments.count ? arguments[argument] : 0
        return switch comparison {
        case .equal(let value): given == value
        case .above(let value): given > value
        case .masked(let mask, let value): given & mask == value
        }
    }

    /// The object of the OCI runtime specification 1.2, "Seccomp", `args`.
    var value: DocumentValue {
        // Values of up to 32 bits fit a JSON number; all that are used here do.
        func number(_ bits: UInt64) -> DocumentValue { .integer(Int64(bitPattern: bits)) }
        var fields: [String: DocumentValue] = ["index": .integer(Int64(argument))]
        switch comparison {
        case .equal(let value):
            fields["op"] = .string("SCMP_CMP_EQ")
            fields["value"] = number(value)
        case .above(let value):
            fields["op"] = .string("SCMP_CMP_GT")
            fields["value"] = number(value)
        case .masked(let mask, let value):
            fields["op"] = .string("SCMP_CMP_MASKED_EQ")
            fields["value"] = number(mask)
            fields["valueTwo"] = number(value)
        }
        return .object(fields)
    }
}

/// Calls that get one answer: where the condition holds, or always without one.
public struct SeccompRule: Sendable, Hashable {
    /// The calls by name.
    public var names: [String]
    /// The answer.
    public var action: SeccompAction
    /// On which argument it depends; nil answers every such call.
    public var condition: SeccompCondition?

    /// Makes a rule.
    public init(_ names: [String], _ action: SeccompAction, _ condition: SeccompCondition? = nil) {
        self.names = names
        self.action = action
        self.condition = condition
    }
}

/// The calling conventions of an x86-64 kernel.
public enum CallingConvention: Sendable, Hashable, CaseIterable {
    /// 64 bits: the only one that workloads have.
    case x86_64
    /// `int 0x80` and 32-bit programs.
    case i386
    /// 64-bit registers with 32-bit pointers.
    case x32
}

/// A system call filter as a value: what the kernel will answer can be asked of it.
///
/// Rules for one call never contradict each other: either one rule without a condition, or several with conditions
/// on one argument that exclude each other, so that their order means nothing.
public struct SeccompProfile: Sendable, Hashable {
    /// The answer to calls without a rule: ENOSYS, so that a C library falls back as on an older kernel.
    public var defaultAction = SeccompAction.error(Errno.noSystemCall)
    /// The rules.
    public var rules: [SeccompRule]

    /// Error numbers of Linux that rules answer with.
    public enum Errno {
        /// EPERM.
        public static let notPermitted = 1
        /// ENOSYS.
        public static let noSystemCall = 38
        /// EAFNOSUPPORT.
        public static let familyNotSupported = 97
    }

    /// What the filter answers to a call.
    public func answer(
        _ name: String, _ arguments: [UInt64] = [], convention: CallingConvention = .x86_64
    ) -> SeccompAction {
        guard convention == .x86_64 else { return .kill }
        return rules.first { $0.names.contains(name) && $0.condition?.holds(arguments) ?? true }?.action
            ?? defaultAction
    }

    /// The object `linux.seccomp` of the OCI runtime specification 1.2.
    public var value: DocumentValue {
        var fields: [String: DocumentValue] = [
            "defaultAction": .string(defaultAction.name),
            // x32 and i386 are absent: libseccomp ends a process that uses another convention.
            "architectures": .array([.string("SCMP_ARCH_X86_64")]),
            "syscalls": .array(rules.map(Self.value)),
        ]
        if case .error(let number) = defaultAction { fields["defaultErrnoRet"] = .integer(Int64(number)) }
        return .object(fields)
    }

    private static func value(_ rule: SeccompRule) -> DocumentValue {
        var fields: [String: DocumentValue] = [
            "names": .array(rule.names.map { .string($0) }), "action": .string(rule.action.name),
        ]
        if case .error(let number) = rule.action { fields["errnoRet"] = .integer(Int64(number)) }
        if let condition = rule.condition { fields["args"] = .array([condition.value]) }
        return .object(fields)
    }
}

extension SeccompProfile {
    /// The profile of a workload with these permissions.
    public init(permissions: Set<WorkloadPermission>) {
        let isDebugged = permissions.contains(.debugging)
        let allowed = SystemCalls.allowed + (isDebugged ? SystemCalls.debugging : [])
        let denied = SystemCalls.denied + (isDebugged ? [] : SystemCalls.debugging)
        rules = [
            SeccompRule(allowed, .allow), SeccompRule(denied, .error(Errno.notPermitted)),
            SeccompRule(["clone3"], .error(Errno.noSystemCall)),
        ]
        rules += Self.clone + Self.sockets + Self.personality + Self.terminals
    }

    /// `clone` without new namespaces. `clone3` hides its flags in memory, where no filter sees them; a C library
    /// that is told it does not exist uses `clone`.
    private static var clone: [SeccompRule] {
        let namespaces: [UInt64] = [
            0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
        ]
        let all = namespaces.reduce(0, |)
        return [SeccompRule(["clone"], .allow, SeccompCondition(argument: 0, comparison: .masked(mask: all, 0)))]
            + namespaces.map {
                SeccompRule(
                    ["clone"], .error(Errno.notPermitted),
                    SeccompCondition(argument: 0, comparison: .masked(mask: $0, $0)))
            }
    }

    /// Sockets of the families UNIX (1), INET (2) and INET6 (10); a kernel without the others answers the same.
    private static var sockets: [SeccompRule] {
        let calls = ["socket", "socketpair"]
        let highest: UInt64 = 10
        return (0...highest).map { family in
            SeccompRule(
                calls, [1, 2, 10].contains(family) ? .allow : .error(Errno.familyNotSupported),
                SeccompCondition(argument: 0, comparison: .equal(family)))
        } + [
            SeccompRule(
                calls, .error(Errno.familyNotSupported), SeccompCondition(argument: 0, comparison: .above(highest)))
        ]
    }

    /// `personality` may be asked for (0xffffffff) and set to what it is (0). Address randomisation stays on.
    private static var personality: [SeccompRule] {
        [0, 0xFFFF_FFFF].map {
            SeccompRule(["personality"], .allow, SeccompCondition(argument: 0, comparison: .equal($0)))
        }
    }

    /// `ioctl` but TIOCSTI (0x5412), which types into a terminal, and TIOCLINUX (0x541c), which pastes.
    ///
    /// The kernel looks at the low 32 bits only, so comparing all 64 could be passed by setting a higher one. Allowed
    /// is a number that differs from 0x541… in one of its upper bits, or is another one of that group.
    private static var terminals: [SeccompRule] {
        func rule(_ mask: UInt64, _ value: UInt64, _ action: SeccompAction = .allow) -> SeccompRule {
            SeccompRule(
                ["ioctl"], action, SeccompCondition(argument: 1, comparison: .masked(mask: mask, value)))
        }
        let group: UInt64 = 0x5410
        let differing = (4..<32).map { bit in rule(1 << bit, ~group & 1 << bit) }
        let within = (0..<16).filter { $0 != 2 && $0 != 12 }.map { rule(0xFFFF_FFFF, group + $0) }
        return differing + within
            + [0x5412, 0x541C].map { rule(0xFFFF_FFFF, $0, .error(Errno.notPermitted)) }
    }
}
