import Contract
import HTTPTypes
import Store
import Workloads

/// Secrets of workloads, and how registries are reached: what goes in here comes out to nodes alone.
struct SecretService: Sendable {
    let core: Core

    /// All secrets without their values.
    func list() async throws -> SecretList {
        try await core.store.read { transaction in
            let users = try Self.users(transaction)
            return SecretList(
                secrets: try transaction.secrets().map {
                    SecretView(
                        name: $0.name.rawValue, changedSeconds: $0.changedSeconds, workloads: users[$0.name] ?? [])
                })
        }
    }

    /// Sets the value of a secret; nodes whose workloads name it get it.
    func set(_ name: WorkloadName, to value: SecretValue) async throws -> SecretView {
        let core = core
        return try await core.change { transaction, announcements in
            let now = core.now()
            let isNew = try transaction.secret(name) == nil
            guard try !isNew || transaction.secrets().count < WorkloadWireLimit.secrets else {
                throw APIFailure(
                    .conflict, "too-many-secrets", "there are \(WorkloadWireLimit.secrets) secrets already; delete some"
                )
            }
            try transaction.setSecret(name, to: value, timeSeconds: now)
            try announcements.event(
                transaction, at: now, node: nil, kind: "secret", "secret '\(name)' was \(isNew ? "made" : "changed")")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            return SecretView(
                name: name.rawValue, changedSeconds: now, workloads: try Self.users(transaction)[name] ?? [])
        }
    }

    /// Removes a secret that no workload names.
    func delete(_ name: WorkloadName) async throws -> Acknowledgement {
        let core = core
        return try await core.change { transaction, announcements in
            if let users = try Self.users(transaction)[name], !users.isEmpty {
                let names = users.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
                throw APIFailure(
                    .conflict, "secret-in-use", "secret '\(name)' is named by \(names); change or delete those first")
            }
            guard try transaction.removeSecret(name) else {
                throw APIFailure(
                    .notFound, "secret-unknown",
                    "there is no secret '\(name)'; 'apus secret list' shows those there are")
            }
            try announcements.event(
                transaction, at: core.now(), node: nil, kind: "secret", "secret '\(name)' was deleted")
            return Acknowledgement(message: "secret '\(name)' is deleted")
        }
    }

    private static func users(_ transaction: any StoreTransaction) throws -> [WorkloadName: [WorkloadName]] {
        var users: [WorkloadName: [WorkloadName]] = [:]
        for workload in try SiteWorkloads(transaction).workloads {
            for name in SiteWorkloads.secretNames(workload) { users[name, default: []].append(workload.name) }
        }
        return users
    }
}

/// How registries are reached.
struct RegistryService: Sendable {
    let core: Core

    /// All registries without their passwords.
    func list() async throws -> RegistryList {
        RegistryList(registries: try await core.store.read { try $0.registries() }.map(Self.view))
    }

    /// Replaces what is known of a registry.
    func set(_ host: String, _ request: RegistryRequest) async throws -> RegistryView {
        try Self.check(host, request)
        let core = core
        return try await core.change { transaction, announcements in
            let now = core.now()
            let all = try transaction.registries()
            let before = all.first { $0.account.host == host }
            guard before != nil || all.count < WorkloadWireLimit.registries else {
                throw APIFailure(
                    .conflict, "too-many-registries",
                    "there are \(WorkloadWireLimit.registries) registries already; delete some")
            }
            let kept = before?.account.username == request.username ? before?.account.password : nil
            let password = request.username == nil ? nil : request.password ?? kept
            if let name = request.username, password == nil {
                throw APIFailure.malformed("field 'password' is missing: user '\(CleanText.line(name))' needs one")
            }
            try transaction.setRegistry(
                RegistryAccount(
                    host: host, mirror: request.mirror, username: request.username, password: password,
                    caPEM: request.caPEM),
                timeSeconds: now)
            try announcements.event(
                transaction, at: now, node: nil, kind: "registry",
                "registry '\(host)' was \(before == nil ? "added" : "changed")")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            guard let stored = try transaction.registries().first(where: { $0.account.host == host }) else {
                throw StoreError("a registry vanished within a transaction")
            }
            return Self.view(stored)
        }
    }

    /// Forgets a registry: it is then asked without a name, by the system's authorities.
    func delete(_ host: String) async throws -> Acknowledgement {
        let core = core
        return try await core.change { transaction, announcements in
            guard try transaction.removeRegistry(host) else {
                throw APIFailure(
                    .notFound, "registry-unknown",
                    "nothing is known of registry '\(CleanText.line(host, limit: 256))'; 'apus registry list' shows all"
                )
            }
            let now = core.now()
            try announcements.event(
                transaction, at: now, node: nil, kind: "registry", "registry '\(host)' was forgotten")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            return Acknowledgement(message: "registry '\(host)' is forgotten")
        }
    }

    private static func check(_ host: String, _ request: RegistryRequest) throws {
        // An image there must be one that a document may name.
        guard WorkloadImage("\(host)/image:tag")?.registry == host else {
            throw APIFailure.malformed(
                "'\(CleanText.line(host, limit: 256))' is not a registry as images name it, such as "
                    + "'registry.example:5000'")
        }
        let limit = WorkloadWireLimit.credential
        guard (request.username?.utf8.count ?? 1) <= limit, (request.password?.bytes.count ?? 0) <= limit,
            request.username.map({ !$0.isEmpty && !$0.contains(":") && CleanText.line($0, limit: limit) == $0 }) ?? true
        else {
            throw APIFailure.malformed(
                "a user name and a password have at most \(limit) bytes, and the name has neither ':' nor control "
                    + "characters")
        }
        if let mirror = request.mirror {
            guard mirror.utf8.count <= 512, mirror.hasPrefix("https://") || mirror.hasPrefix("http://"),
                mirror.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !mirror.contains("@"),
                mirror.drop(while: { $0 != "/" }).dropFirst(2).first.map({ $0 != "/" }) ?? false
            else {
                throw APIFailure.malformed("field 'mirror' is an address such as 'https://mirror.example:5000'")
            }
        }
        if let pem = request.caPEM {
            guard pem.utf8.count <= WorkloadWireLimit.certificates, pem.contains("-----BEGIN CERTIFICATE-----") else {
                throw APIFailure.malformed(
                    "field 'caPEM' has certificates in PEM, at most \(WorkloadWireLimit.certificates) bytes")
            }
        }
    }

    private static func view(_ stored: StoredRegistry) -> RegistryView {
        RegistryView(
            host: stored.account.host, mirror: stored.account.mirror, username: stored.account.username,
            hasPassword: stored.account.password != nil, caPEM: stored.account.caPEM,
            changedSeconds: stored.changedSeconds)
    }
}
