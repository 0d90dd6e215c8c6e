extension Revision {
    /// Reads every field; nil where the image is not usable. Problems go to the reader's findings.
    init?(_ reader: inout DocumentReader, requiresDigest: Bool) {
        let kind = reader.take("kind")?.choice(WorkloadKind.self) ?? .container
        let image = reader.require("image", WorkloadImage.allowed)?.image(requiresDigest: requiresDigest)
        // Reading goes on with a stand-in, so that every other problem is named as well.
        let standIn = WorkloadImage(registry: "unreadable.invalid", repository: "x", tag: "x", digest: nil)
        self.init(kind: kind, image: image ?? standIn)
        readProcess(&reader)
        readFiles(&reader)
        resources = WorkloadResources(&reader)
        readNetwork(&reader)
        healthCheck = reader.take("healthcheck").flatMap { HealthCheck($0) }
        readLife(&reader)
        readKind(&reader, requiresDigest: requiresDigest)
        checkWhole(reader)
        if image == nil { return nil }
    }

    private mutating func readProcess(_ reader: inout DocumentReader) {
        entrypoint = reader.take("entrypoint")?.words()
        command = reader.take("command")?.words()
        workingDirectory = reader.take("working_dir")?.absolutePath()
        user = reader.take("user")?.parsed("a user, or user:group, by name or by number up to 65535", limit: 128) {
            Self.isUser($0) ? $0 : nil
        }
        hostname = reader.take("hostname")?.parsed(WorkloadName.allowed) { WorkloadName($0)?.rawValue }
        environment = reader.take("environment")?.environment() ?? [:]
        hasInit = reader.take("init")?.flag() ?? false
        hasTerminal = reader.take("tty")?.flag() ?? false
    }

    private static func isUser(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count)
            && parts.allSatisfy { part in
                if let number = UInt64(part) { return number <= 65_535 }
                return (1...32).contains(part.utf8.count) && !part.hasPrefix("-")
                    && part.utf8.allSatisfy {
                        (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                            || [0x2D, 0x2E, 0x5F].contains($0)
                    }
            }
    }

    private mutating func readFiles(_ reader: inout DocumentReader) {
        secrets = reader.take("secrets")?.list(limit: 64)?.compactMap { SecretMount($0) } ?? []
        let list = reader.take("volumes")
        volumes = list?.list(limit: 64)?.compactMap { VolumeMount($0) } ?? []
        isRootReadOnly = reader.take("read_only")?.flag() ?? true
        let targets = volumes.map(\.target) + secrets.map(\.target)
        if let twice = targets.first(where: { target in targets.count { $0 == target } > 1 }) {
            reader.findings.add("volumes", twice, "two mounts have one target")
        }
        let names = volumes.compactMap { volume in
            if case .persistent(let name, _, _) = volume.source { name } else { nil }
        }
        if Set(names).count < names.count { list?.fail("two volumes have one source; allowed is each once") }
    }

    private mutating func readNetwork(_ reader: inout DocumentReader) {
        let mode = reader.take("network_mode")
        egress = reader.take("egress")?.list(limit: 128)?.compactMap { EgressRule($0) } ?? []
        let published = reader.take("ports")
        ports = published?.list(limit: 64)?.compactMap { PublishedPort($0) } ?? []
        exposedPorts = reader.take("exposed_ports")?.list(limit: 64)?.compactMap { PortRange($0) } ?? []
        let linked = reader.take("links")
        links = linked?.list(limit: 64)?.compactMap { WorkloadLink($0) } ?? []
        for (index, port) in ports.enumerated() where ports[..<index].contains(where: port.conflicts) {
            published?.fail("port \(port.published)/\(port.transport.rawValue) is published twice")
        }
        if Set(links.map(\.alias)).count < links.count { linked?.fail("two links have one alias") }
        if let mode, mode.value != .string("none") {
            mode.fail("allowed is none; the network is what egress, ports, exposed_ports and links open")
        } else if let mode, hasNetwork {
            mode.fail("stands beside egress, ports, exposed_ports or links, which open a network")
        }
        if let item = reader.take("depends_on") { dependsOn = item.dependencies() }
    }

    private mutating func readLife(_ reader: inout DocumentReader) {
        let restartItem = reader.take("restart")
        var policy: DocumentItem?
        if let item = reader.take("deploy"), var deploy = DocumentReader(item) {
            policy = deploy.take("restart_policy")
            if let place = deploy.take("placement") { placement = WorkloadPlacement(place) }
            if let update = deploy.take("update_config"), var fields = DocumentReader(update) {
                updateOrder = fields.take("order")?.choice(UpdateOrder.self)
                fields.finish()
            }
            deploy.finish(hints: [
                "resources": "use mem_limit, cpus and pids_limit",
                "replicas": "one instance runs on each matching node",
            ])
        }
        restart = RestartPolicy(restart: restartItem, deploy: policy)
        stopSignal =
            reader.take("stop_signal")?.parsed("one of \(Self.signals.joined(separator: ", "))") {
                Self.signals.contains($0) ? $0 : nil
            } ?? stopSignal
        let longest = Int64(WorkloadLimit.stopGraceSeconds) * 1000
        stopGraceMilliseconds = reader.take("stop_grace_period")?.milliseconds(0...longest) ?? stopGraceMilliseconds
        permissions = Set(
            reader.take("permissions")?.list(limit: 32)?.compactMap { $0.choice(WorkloadPermission.self) } ?? [])
    }

    /// Signals that ask a process to end.
    static let signals = [
        "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGKILL",
    ]

    private mutating func readKind(_ reader: inout DocumentReader, requiresDigest: Bool) {
        let settings = reader.take("function")
        if let settings {
            if kind == .function {
                function = FunctionSettings(settings, requiresDigest: requiresDigest)
            } else {
                settings.fail("belongs to kind: function")
            }
        }
        if let settings = reader.take("vm") {
            if kind == .vm { machine = MachineSettings(settings) } else { settings.fail("belongs to kind: vm") }
        }
    }

    /// What single fields cannot show.
    private func checkWhole(_ reader: DocumentReader) {
        let add = reader.findings.add
        checkPackage(add)
        if kind == .vm {
            if !permissions.isEmpty { add("permissions", nil, "a virtual machine has nothing that these would loosen") }
            if !secrets.isEmpty || !volumes.isEmpty {
                add("volumes", nil, "a virtual machine has its own disk and its seed; allowed is vm.user_data")
            }
        }
        if kind == .function, healthCheck != nil {
            add("healthcheck", nil, "a function is healthy when its calls succeed")
        }
        if let check = healthCheck, case .http(let port, _) = check.probe { requireNetwork(port, add) }
        if let check = healthCheck, case .tcp(let port) = check.probe { requireNetwork(port, add) }
        if kind == .vm, let check = healthCheck, case .command = check.probe {
            add("healthcheck.test", nil, "nothing can be run inside a virtual machine; allowed is http or tcp")
        }
        let memory = volumes.reduce(into: UInt64(0)) { sum, volume in
            if case .memory(let bytes, _) = volume.source { sum += bytes }
        }
        if memory > resources.memoryBytes {
            add("volumes", nil, "tmpfs volumes are \(WorkloadUnits.text(bytes: memory)) together, above mem_limit")
        }
    }

    private func requireNetwork(_ port: UInt16, _ add: (String, String?, String) -> Void) {
        guard !hasNetwork else { return }
        add("healthcheck", "\(port)", "a check by network needs one; allowed is exposed_ports: [\(port)]")
    }
}

extension DocumentItem {
    /// A list of words; a single text is refused, because splitting it would need a shell's rules.
    func words() -> [String]? {
        if case .string = value {
            fail("allowed is a list of words, such as [\"/bin/server\", \"--port\", \"80\"]")
            return nil
        }
        return list(limit: 512)?.compactMap { $0.text(limit: 32 << 10) }
    }

    /// An object of names and values, or a list of `NAME=VALUE`. Values are never repeated in messages.
    func environment() -> [String: String] {
        var result: [String: String] = [:]
        if case .array = value {
            for item in list(limit: 512) ?? [] {
                guard case .string(let text) = item.value, let equals = text.firstIndex(of: "=") else {
                    item.failSilently("allowed is NAME=VALUE")
                    continue
                }
                item.set(String(text[..<equals]), .string(String(text[text.index(after: equals)...])), in: &result)
            }
        } else {
            for (name, item) in members(limit: 512) ?? [] { item.set(name, item.value, in: &result) }
        }
        return result
    }

    private func set(_ name: String, _ value: DocumentValue, in result: inout [String: String]) {
        guard (1...256).contains(name.utf8.count), !name.utf8.contains(0x3D), name.utf8.allSatisfy({ $0 > 0x20 }) else {
            return failSilently("allowed are names of at most 256 bytes without spaces and '='")
        }
        let text: String? =
            switch value {
            case .string(let text) where text.utf8.count <= 32 << 10 && !text.utf8.contains(0): text
            case .integer(let number): String(number)
            case .decimal(let text): text
            case .bool(let flag): flag ? "true" : "false"
            default: nil
            }
        guard let text else { return failSilently("allowed is a text of at most 32 KiB without NUL, or a number") }
        if result.updateValue(text, forKey: name) != nil { failSilently("the name stands twice") }
    }

    /// A list of names, or an object of names and conditions.
    func dependencies() -> [WorkloadName: DependencyCondition] {
        var result: [WorkloadName: DependencyCondition] = [:]
        if case .array = value {
            for item in list(limit: 64) ?? [] {
                if let name = item.parsed(WorkloadName.allowed, WorkloadName.init) { result[name] = .started }
            }
            return result
        }
        for (text, item) in members(limit: 64) ?? [] {
            guard let name = WorkloadName(text), var reader = DocumentReader(item) else {
                item.fail("allowed is a workload's name with an object that has a condition")
                continue
            }
            result[name] =
                reader.require("condition", "service_started or service_healthy")?.choice(DependencyCondition.self)
            reader.finish()
        }
        return result
    }
}

extension Revision {
    /// The fields of the document with every default written out.
    var fields: [String: DocumentValue] {
        var fields = resources.fields
        func words(_ words: [String]?) -> DocumentValue? { words.map { .array($0.map { .string($0) }) } }
        fields["kind"] = .string(kind.rawValue)
        fields["image"] = .string(image.description)
        fields["entrypoint"] = words(entrypoint)
        fields["command"] = words(command)
        fields["working_dir"] = workingDirectory.map { .string($0) }
        fields["user"] = user.map { .string($0) }
        fields["hostname"] = hostname.map { .string($0) }
        fields["environment"] = .object(environment.mapValues { .string($0) })
        fields["secrets"] = .array(secrets.map(\.value))
        fields["volumes"] = .array(volumes.map(\.value))
        fields["read_only"] = .bool(isRootReadOnly)
        fields["init"] = .bool(hasInit)
        fields["tty"] = .bool(hasTerminal)
        fields["egress"] = .array(egress.map(\.value))
        fields["ports"] = .array(ports.map(\.value))
        fields["exposed_ports"] = .array(exposedPorts.map { .string($0.description) })
        fields["links"] = .array(links.map(\.value))
        fields["depends_on"] = .object(
            Dictionary(
                uniqueKeysWithValues: dependsOn.map {
                    ($0.key.rawValue, DocumentValue.object(["condition": .string($0.value.rawValue)]))
                }))
        fields["healthcheck"] = healthCheck?.value
        fields["stop_signal"] = .string(stopSignal)
        fields["stop_grace_period"] = .string(WorkloadUnits.text(milliseconds: stopGraceMilliseconds))
        var deploy: [String: DocumentValue] = ["restart_policy": restart.value, "placement": placement.value]
        deploy["update_config"] = updateOrder.map { .object(["order": .string($0.rawValue)]) }
        fields["deploy"] = .object(deploy)
        fields["permissions"] = .array(permissions.sorted().map { .string($0.rawValue) })
        fields["function"] = function?.value
        fields["vm"] = machine?.value
        return fields
    }
}
