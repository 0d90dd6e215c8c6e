internal import Contract
internal import Linux
internal import Workloads

/// Looking names up for workloads: the resolver's thread is there while a wire needs it.
extension KeeperCore {
    /// Answers a revision's questions, where its document lists names. Its wire is up.
    func serveNames(_ end: WireEnd) throws {
        let sets = EgressSets(wire: end.wire, egress: end.revision.egress)
        guard sets.hasNames, servedNames[end.wire.index] != end.key else { return }
        let service =
            try names
            ?? NameService(
                NameService.Setting(
                    network: effects.networkNamespace, serverFiles: effects.serverFiles, limits: effects.nameLimits,
                    tell: effects.tell))
        names = service
        try service.serve(end.key.workload, sets)
        servedNames[end.wire.index] = end.key
    }

    /// Answers on a wire no longer. The thread ends with the last one.
    func releaseNames(_ wire: NetworkPlan) {
        guard let service = names else { return }
        servedNames[wire.index] = nil
        do {
            try service.release(wire.index)
        } catch {
            tell("names", "\(error)")
        }
        guard servedNames.isEmpty else { return }
        service.end()
        names = nil
    }
}
