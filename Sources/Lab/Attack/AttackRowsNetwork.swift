extension AttackRow {
    private static let away: Set<String> = ["dropped", "ENETUNREACH", "EHOSTUNREACH", "empty"]

    /// Others on the network, and sockets of the node.
    static let network: [AttackRow] = [
        AttackRow(
            "agent-sockets", "abstract and path sockets of the node",
            [.networkNamespace],
            [AttackAttempt("abstract", ["ECONNREFUSED"]), AttackAttempt("listed", ["empty", "ECONNREFUSED"])]
                + ["run", "systemd", "bus", "journal"].map {
                    // A path leads nowhere in a root of one's own, whatever the network.
                    AttackAttempt($0, ["ENOENT"], missing: ["ENOENT"])
                }),
        AttackRow(
            "other-workloads", "other workloads' addresses", [.firewall],
            ["version4", "version6"].map { AttackAttempt($0, away) }, stage: .wired),
        AttackRow(
            "node-services", "the node's own services at its end of the wire, and at others' ends", [.firewall],
            [AttackAttempt("gateway", away), AttackAttempt("other-gateways", away)], stage: .wired),
        AttackRow(
            "metadata-address", "metadata addresses of clouds", [.firewall],
            // Few networks have the IPv6 ones.
            [AttackAttempt("version4", away), AttackAttempt("version6", away, missing: away)], stage: .wired),
        AttackRow(
            "spoofing", "ARP, router advertisements, others' addresses",
            [.filter, .noCapabilities, .userNamespace, .firewall],
            [
                AttackAttempt("arp", ["EAFNOSUPPORT"]), AttackAttempt("router-advertisement", ["EPERM"]),
                AttackAttempt("raw-address", ["EPERM"]), AttackAttempt("transparent-address", ["EPERM"]),
            ]),
        AttackRow(
            "lookup-only", "a connection, where only a name may be looked up", [.firewall],
            [AttackAttempt("connect", away)], stage: .wired),
    ]

    /// Images that are refused before anything of them is a file.
    static let images: [AttackRow] = [
        AttackRow(
            "device-symlink", "an image whose /dev is a symbolic link", [.layerRules],
            [AttackAttempt("apply", ["not-a-directory"])], stage: .image),
        AttackRow(
            "layer-escape", "layers that escape by .., by hard link and by whiteout", [.layerRules],
            [
                AttackAttempt("parent", ["parent-path"]), AttackAttempt("hard-link", ["bad-hard-link"]),
                AttackAttempt("whiteout", ["whiteout-trick"]),
            ], stage: .image),
        AttackRow(
            "shared-inode", "one inode behind two workloads of one image", [.ownImage],
            [AttackAttempt("identity", ["different"])], stage: .pair),
    ]
}
