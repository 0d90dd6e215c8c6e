/// What kind of thing runs.
public enum WorkloadKind: String, Sendable, Codable, Hashable, CaseIterable {
    /// An OCI image in a sandbox.
    case container
    /// A virtual machine.
    case vm
    /// A function of AWS Lambda's custom-runtime interface.
    case function
}

/// One immutable state of a workload's wishes. Field names are those of the Compose Specification where they mean the
/// same; its name is the SHA-256 of `canonical`.
public struct Revision: Sendable, Hashable {
    /// `kind`. Default container.
    public var kind: WorkloadKind
    /// `image`, by digest.
    public var image: WorkloadImage
    /// `entrypoint`; nil takes the image's.
    public var entrypoint: [String]?
    /// `command`; nil takes the image's.
    public var command: [String]?
    /// `working_dir`; nil takes the image's.
    public var workingDirectory: String?
    /// `user`: a name or number, perhaps with `:group`; nil takes the image's.
    public var user: String?
    /// `hostname`; nil takes the workload's name.
    public var hostname: String?
    /// `environment`.
    public var environment: [String: String] = [:]
    /// `secrets`.
    public var secrets: [SecretMount] = []
    /// `volumes`.
    public var volumes: [VolumeMount] = []
    /// `mem_limit`, `cpus` and the like.
    public var resources = WorkloadResources()
    /// `read_only`. Default true; false needs a permission.
    public var isRootReadOnly = true
    /// `init`: whether a minimal init reaps processes. Default false.
    public var hasInit = false
    /// `tty`: whether standard input and output are a terminal. Default false.
    public var hasTerminal = false
    /// `egress`: all that may be connected to.
    public var egress: [EgressRule] = []
    /// `ports`: ports of the node that lead here.
    public var ports: [PublishedPort] = []
    /// `exposed_ports`: what workloads that link here may connect to, beside the targets of `ports`.
    public var exposedPorts: [PortRange] = []
    /// `links`.
    public var links: [WorkloadLink] = []
    /// `depends_on`: other workloads on the node that start first and stop last, and whether they must be healthy.
    public var dependsOn: [WorkloadName: DependencyCondition] = [:]
    /// `healthcheck`; nil counts a running workload as healthy.
    public var healthCheck: HealthCheck?
    /// `restart` and `deploy.restart_policy`.
    public var restart = RestartPolicy()
    /// `stop_signal`. Default SIGTERM.
    public var stopSignal = "SIGTERM"
    /// `stop_grace_period`: from the signal until the kill, in milliseconds. Default 10 s.
    public var stopGraceMilliseconds: Int64 = 10_000
    /// `deploy.update_config.order`; nil lets the planner choose.
    public var updateOrder: UpdateOrder?
    /// `deploy.placement`.
    public var placement = WorkloadPlacement()
    /// `permissions`.
    public var permissions: Set<WorkloadPermission> = []
    /// `function`, for that kind.
    public var function: FunctionSettings?
    /// `vm`, for that kind.
    public var machine: MachineSettings?

    /// Makes a revision with every default.
    public init(kind: WorkloadKind = .container, image: WorkloadImage) {
        self.kind = kind
        self.image = image
        function = kind == .function ? FunctionSettings() : nil
        machine = kind == .vm ? MachineSettings() : nil
    }

    /// The images that it needs: its own, and the one that a zip runs on.
    public var images: [WorkloadImage] { [image] + (function?.baseImage.map { [$0] } ?? []) }

    /// Whether it has a network at all.
    public var hasNetwork: Bool { !egress.isEmpty || !ports.isEmpty || !links.isEmpty || !exposedPorts.isEmpty }

    /// The workloads that must run before it: those in `depends_on` and those that it links to.
    public var dependencies: Set<WorkloadName> { Set(dependsOn.keys).union(links.map(\.workload)) }

    /// The bytes whose SHA-256 names the revision: the document without name and labels, every default written out.
    public var canonical: [UInt8] { DocumentValue.object(fields).json }
}

/// What a dependency must have reached.
public enum DependencyCondition: String, Sendable, Hashable, CaseIterable {
    /// It runs.
    case started = "service_started"
    /// It is healthy.
    case healthy = "service_healthy"
}

/// Whether a new revision starts before the old one stops.
public enum UpdateOrder: String, Sendable, Hashable, CaseIterable {
    /// The new one runs beside the old one until it is healthy.
    case startFirst = "start-first"
    /// The old one stops first, and comes back where the new one fails.
    case stopFirst = "stop-first"
}
