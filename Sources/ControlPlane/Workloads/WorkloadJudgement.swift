import Contract
import HTTPTypes
import Store
import Workloads

/// What a document must be before it is kept.
extension WorkloadService {
    /// Reads a document; a refusal names everything that is wrong.
    static func read(_ document: [UInt8], name: WorkloadName) throws -> Workload {
        let workload: Workload
        do {
            workload = try Workload(parsing: document, requiresDigest: false)
        } catch {
            throw refused(error.problems.map(\.description))
        }
        guard workload.name == name else {
            throw refused(["name: '\(workload.name)': the address says '\(name)'; both are to be the same"])
        }
        // Nothing on a node holds the other end of it: the runtime would not start.
        guard !workload.revision.hasTerminal else {
            throw refused([
                "tty: 'true': a workload's first process gets no terminal, and what it writes is its log; "
                    + "'apus workload exec -t' gives a command one"
            ])
        }
        let missing = Permissions.needed(by: workload.revision).filter { permission, _ in
            !workload.revision.permissions.contains(permission)
        }
        guard missing.isEmpty else {
            throw refused(
                missing.map { permission, field in
                    "permissions: \(field) needs the permission '\(permission.rawValue)', which the document does not "
                        + "ask for"
                })
        }
        return workload
    }

    /// Asks registries what the tags of a workload's images mean.
    func resolve(_ workload: Workload) async throws -> Workload {
        var resolved = workload
        resolved.revision.image = try await resolve(workload.revision.image)
        if let base = workload.revision.function?.baseImage {
            resolved.revision.function?.baseImage = try await resolve(base)
        }
        return resolved
    }

    private func resolve(_ image: WorkloadImage) async throws -> WorkloadImage {
        guard image.digest == nil else { return image }
        let account = try await core.store.read { transaction in
            try transaction.registries().first { $0.account.host == image.registry }?.account
        }
        do throws(TagProblem) {
            return image.resolved(to: try await resolver.digest(of: image, account: account))
        } catch {
            throw APIFailure(
                error.isTransient ? .badGateway : .unprocessableContent,
                error.isTransient ? "registry-unreachable" : "image-unresolved",
                "what the tag of '\(image)' names could not be found out: "
                    + CleanText.line(error.description, limit: 512)
                    + "; name the image by digest, or see 'apus registry set' for how registries are reached")
        }
    }

    /// Refuses what cannot be beside the other workloads.
    static func demand(_ workload: Workload, beside site: SiteWorkloads) throws {
        let isNew = !site.entries.contains { $0.workload.name == workload.name }
        guard !isNew || site.entries.count < ServerLimit.workloads else {
            throw APIFailure(
                .conflict, "too-many-workloads", "there are \(ServerLimit.workloads) workloads already; delete some")
        }
        let problems = WorkloadSet.problems(with: workload, beside: site.workloads)
        guard problems.isEmpty else { throw refused(problems.map(\.description)) }
    }

    /// What is not wrong, but worth knowing.
    static func notes(_ workload: Workload, on nodes: [PlaceableNode], _ site: SiteWorkloads) throws -> [String] {
        var notes = SiteWorkloads.secretNames(workload).filter { site.secrets[$0] == nil }.map {
            "secret '\($0)' does not exist yet; the workload waits for it ('apus secret set \($0)')"
        }
        if nodes.isEmpty { notes.append("no node matches deploy.placement; the workload runs nowhere yet") }
        for node in nodes {
            do throws(SandboxRefusal) {
                try Permissions.check(workload.revision, try policy(of: node, site))
            } catch {
                notes += error.reasons.map { "node \(node.name ?? node.id.rawValue) will not run it: \($0)" }
            }
            notes += WorkloadPlacer.conflicts(of: workload, beside: site.workloads, on: node).map(\.description)
            guard notes.count < 32 else { break }
        }
        return Array(notes.prefix(32))
    }

    private static func policy(of node: PlaceableNode, _ site: SiteWorkloads) throws(SandboxRefusal) -> NodePolicy {
        do {
            return try site.policies.policy(of: node.id)
        } catch {
            throw SandboxRefusal(["its policy cannot be read"])
        }
    }

    /// A document that is refused, with everything that is wrong.
    static func refused(_ problems: [String]) -> APIFailure {
        let kept = problems.prefix(64).map { CleanText.line($0, limit: 1024) }
        var failure = APIFailure(
            .unprocessableContent, "document-refused",
            kept.count == 1
                ? "the document is refused: \(kept[0])"
                : "the document is refused for \(kept.count) reasons: \(kept.joined(separator: "; "))")
        failure.error.problems = Array(kept)
        return failure
    }
}
