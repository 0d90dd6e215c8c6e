public import Workloads

/// A sandbox with guards taken away, so that a row can show that it would notice a broken one.
///
/// This exists in the lab alone. It changes the value that the agent's own planner computed, and the result is handed to
/// `crun` on a machine that is thrown away: the agent has no way to run it.
public struct Unguarded: Sendable {
    /// The runtime's configuration.
    public var config: DocumentValue
    /// The settings of the unit.
    public var properties: [UnitProperty]

    /// A device of the machine that a container without a `/dev` of its own would see.
    public struct Device: Sendable, Hashable {
        /// Its path.
        public var path: String
        /// Whether it is a block device.
        public var isBlock: Bool
        /// Its numbers.
        public var major: Int64
        /// Its numbers.
        public var minor: Int64

        /// Describes a device.
        public init(_ path: String, isBlock: Bool = false, _ major: Int64, _ minor: Int64) {
            (self.path, self.isBlock, self.major, self.minor) = (path, isBlock, major, minor)
        }

        /// Devices whose numbers are the same on every machine (Documentation/admin-guide/devices.txt).
        public static let fixed = [
            Device("/dev/mem", 1, 1), Device("/dev/port", 1, 4), Device("/dev/kmsg", 1, 11),
            Device("/dev/kvm", 10, 232),
            Device("/dev/fuse", 10, 229), Device("/dev/loop-control", 10, 237), Device("/dev/mapper/control", 10, 236),
            Device("/dev/sda", isBlock: true, 8, 0), Device("/dev/bus/usb/001/001", 189, 0),
        ]
    }

    /// Takes guards away from a plan.
    ///
    /// - Parameters:
    ///   - plan: what the agent would run.
    ///   - guards: what is taken away; guards that are not in a configuration or unit are the caller's business.
    ///   - capabilities: all that the machine can give.
    ///   - devices: what lies in the machine's `/dev`.
    public init(
        _ plan: SandboxPlan, without guards: Set<AttackGuard>, capabilities: [String], devices: [Device] = Device.fixed
    ) {
        config = plan.runtimeConfig.value
        properties = plan.unit.properties
        for gone in guards.sorted(by: { $0.rawValue < $1.rawValue }) {
            removeFromConfig(gone, capabilities, devices)
            removeFromUnit(gone)
        }
    }

    private mutating func removeFromConfig(_ gone: AttackGuard, _ capabilities: [String], _ devices: [Device]) {
        switch gone {
        case .filter: config["linux", "seccomp"] = nil
        case .noCapabilities:
            let all = DocumentValue.array(capabilities.map { .string($0) })
            for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
                config["process", "capabilities", set] = all
            }
        case .noNewPrivileges: config["process", "noNewPrivileges"] = .bool(false)
        case .userNamespace:
            removeNamespace("user")
            config["linux", "uidMappings"] = nil
            config["linux", "gidMappings"] = nil
        case .processNamespace: removeNamespace("pid")
        case .groupNamespace: removeNamespace("cgroup")
        case .networkNamespace: removeNamespace("network")
        case .maskedPaths: config["linux", "maskedPaths"] = .array([])
        case .readOnlyPaths: config["linux", "readonlyPaths"] = .array([])
        case .readOnlyRoot: config["root", "readonly"] = .bool(false)
        case .appArmor: config["process", "apparmorProfile"] = nil
        case .ownDevices: config["linux", "devices"] = .array(devices.map(\.value))
        case .resourceLimits:
            let files: [String: DocumentValue] = [
                "type": .string("RLIMIT_NOFILE"), "soft": .integer(4096), "hard": .integer(4096),
            ]
            config["process", "rlimits"] = .array([.object(files)])
        case .emptySys, .mountFlags, .memoryFileSizes: changeMounts(gone)
        default: break
        }
    }

    private mutating func removeNamespace(_ type: String) {
        guard case .array(let namespaces)? = config["linux", "namespaces"] else { return }
        config["linux", "namespaces"] = .array(namespaces.filter { $0["type"] != .string(type) })
    }

    private mutating func changeMounts(_ gone: AttackGuard) {
        guard case .array(let mounts)? = config["mounts"] else { return }
        config["mounts"] = .array(
            mounts.map { mount in
                var mount = mount
                guard case .array(let options)? = mount["options"] else { return mount }
                var words = options.compactMap { if case .string(let word) = $0 { word } else { nil } }
                switch gone {
                case .emptySys where mount["destination"] == .string("/sys"):
                    mount["type"] = .string("sysfs")
                    mount["source"] = .string("sysfs")
                    words = ["rw"]
                case .emptySys where mount["destination"] == .string("/sys/fs/cgroup"): words.removeAll { $0 == "ro" }
                case .mountFlags: words.removeAll { ["nosuid", "nodev", "noexec"].contains($0) }
                case .memoryFileSizes where mount["type"] == .string("tmpfs"):
                    words.removeAll { $0.hasPrefix("size=") || $0.hasPrefix("nr_inodes=") }
                default: return mount
                }
                mount["options"] = .array(words.map { .string($0) })
                return mount
            })
    }

    private mutating func removeFromUnit(_ gone: AttackGuard) {
        func drop(_ names: String...) { properties.removeAll { names.contains($0.name) } }
        switch gone {
        case .memoryLimit:
            drop("MemoryMax", "MemorySwapMax", "MemoryZSwapMax", "OOMPolicy")
        case .processLimit:
            drop("TasksMax")
            properties.append(UnitProperty("TasksMax", "infinity"))
        case .processorLimit: drop("CPUQuota")
        case .trafficLimit: drop("IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax")
        case .devicePolicy:
            drop("DevicePolicy", "DeviceAllow")
        case .resourceLimits:
            drop("LimitNOFILE", "LimitMEMLOCK", "LimitRTPRIO")
            properties += [
                UnitProperty("LimitNOFILE", "4096"), UnitProperty("LimitMEMLOCK", "infinity"),
                UnitProperty("LimitRTPRIO", "infinity"),
            ]
        case .logRate:
            drop("LogRateLimitIntervalSec", "LogRateLimitBurst")
            properties.append(UnitProperty("LogRateLimitIntervalSec", "0"))
        default: break
        }
    }

    /// Guards that this takes away; the others are not in a configuration or a unit.
    static let removable: Set<AttackGuard> = Set(AttackGuard.allCases)
        .subtracting([.quota, .firewall, .runtime, .layerRules, .ownImage])
}

extension Unguarded.Device {
    /// The object of the OCI runtime specification, "Devices".
    var value: DocumentValue {
        .object([
            "path": .string(path), "type": .string(isBlock ? "b" : "c"), "major": .integer(major),
            "minor": .integer(minor), "fileMode": .integer(0o666), "uid": .integer(0), "gid": .integer(0),
        ])
    }
}

extension DocumentValue {
    /// A member below members; setting nil removes it. Nothing is made on the way to it.
    fileprivate subscript(path: String...) -> DocumentValue? {
        get { path.reduce(DocumentValue?.some(self)) { value, key in value?[key] } }
        set { set(path[...], newValue) }
    }

    private mutating func set(_ path: ArraySlice<String>, _ new: DocumentValue?) {
        guard let key = path.first, case .object(var members) = self else { return }
        if path.count == 1 {
            members[key] = new
        } else if var child = members[key] {
            child.set(path.dropFirst(), new)
            members[key] = child
        }
        self = .object(members)
    }
}
