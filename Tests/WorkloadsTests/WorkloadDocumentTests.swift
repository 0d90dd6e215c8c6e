import Contract
import Testing

@testable import Workloads

@Suite struct WorkloadDocuments {
    static let digest = String(repeating: "ab", count: 32)
    static let image = "registry.example:5000/team/app:1.2@sha256:\(digest)"

    static let full = """
        {"format": 1, "name": "web", "labels": {"team": "north"}, "kind": "container", "image": "\(image)",
         "entrypoint": ["/bin/server"], "command": ["--port", "80"], "working_dir": "/srv", "user": "1000:1000",
         "hostname": "web-1", "environment": ["A=b=c", "EMPTY="], "init": true, "tty": false, "read_only": true,
         "secrets": ["token", {"source": "key", "target": "tls.key", "uid": 1000, "gid": "1000", "mode": "0440"}],
         "volumes": [
           {"type": "volume", "source": "data", "target": "/data", "volume": {"size": "1g", "inodes": 5000}},
           {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": "64m", "mode": "01777"}}],
         "mem_limit": "512MiB", "cpus": 1.5, "pids_limit": 64, "shm_size": "16m",
         "blkio_config": {"weight": 200, "read_bps": "10mb", "write_iops": 100},
         "logging": {"options": {"max-size": "1m"}}, "storage_opt": {"size": "2g"},
         "ulimits": {"nofile": {"soft": 100, "hard": 200}, "core": 0},
         "egress": [{"to": "*.example.com", "ports": [443, "8000-8010"]},
                    {"to": "192.0.2.0/24", "ports": [53], "protocol": "udp"}, {"to": "api.example.org", "ports": []}],
         "ports": ["8080:80", "[2001:db8::1]:8443:443/udp", {"target": 90, "published": 9090, "host_ip": "192.0.2.1"}],
         "exposed_ports": [8081], "links": ["db", "cache:fast"], "depends_on": {"db": {"condition": "service_healthy"}},
         "healthcheck": {"http": {"port": 80, "path": "/health"}, "interval": "5s", "timeout": "1s500ms", "retries": 2},
         "restart": "on-failure:4", "stop_signal": "SIGINT", "stop_grace_period": "1m30s",
         "deploy": {"restart_policy": {"delay": "2s", "max_delay": "1m", "window": "5m"},
                    "placement": {"nodes": ["n1"], "constraints": ["node.labels.zone == a", "node.labels.old!=yes"]},
                    "update_config": {"order": "stop-first"}},
         "permissions": ["slow-stop", "capability.chown"]}
        """

    static func minimal(_ more: String = "") -> String { #"{"name": "web", "image": "\#(image)"\#(more)}"# }

    static func read(_ text: String, requiresDigest: Bool = true) throws -> Workload {
        try Workload(parsing: Array(text.utf8), requiresDigest: requiresDigest)
    }

    /// The lines of the error, or an empty list where the document is accepted.
    static func problems(_ text: String) -> [String] {
        do {
            _ = try Workload(parsing: Array(text.utf8))
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func everyFieldIsRead() throws {
        let workload = try Self.read(Self.full)
        let revision = workload.revision
        #expect(workload.labels == ["team": "north"])
        #expect(revision.image.registry == "registry.example:5000" && revision.image.tag == "1.2")
        #expect(revision.environment == ["A": "b=c", "EMPTY": ""])
        #expect(revision.secrets.map(\.target) == ["/run/secrets/token", "/run/secrets/tls.key"])
        #expect(revision.secrets[1].mode == 0o440)
        #expect(revision.resources.memoryBytes == 512 << 20 && revision.resources.milliCPUs == 1500)
        #expect(revision.resources.io.readBytesPerSecond == 10 << 20)
        #expect(revision.egress.map(\.ports.count) == [2, 1, 0])
        #expect(revision.ports[1].hostAddress == NetworkAddress("2001:db8::1") && revision.ports[1].transport == .udp)
        #expect(revision.dependencies.map(\.rawValue).sorted() == ["cache", "db"])
        #expect(revision.healthCheck?.probe == .http(port: 80, path: "/health"))
        #expect(revision.healthCheck?.timeoutMilliseconds == 1500)
        #expect(revision.restart.condition == .onFailure && revision.restart.maximumAttempts == 4)
        #expect(revision.stopGraceMilliseconds == 90_000 && revision.updateOrder == .stopFirst)
        #expect(revision.permissions == [.slowStop, .capabilityChown])
        #expect(revision.placement.matches(nodeNames: ["n1", "id"], labels: ["zone": "a"]))
        #expect(!revision.placement.matches(nodeNames: ["n1"], labels: ["zone": "a", "old": "yes"]))
        #expect(!revision.placement.matches(nodeNames: ["n2"], labels: ["zone": "a"]))
    }

    @Test func whatIsLeftOutHasALimit() throws {
        let revision = try Self.read(Self.minimal()).revision
        #expect(revision.kind == .container && !revision.hasNetwork && revision.isRootReadOnly)
        #expect(revision.resources == WorkloadResources())
        #expect(revision.resources.pids == 256 && revision.resources.memoryBytes == 256 << 20)
        #expect(revision.permissions.isEmpty && revision.stopGraceMilliseconds == 10_000)
        let small = try Self.read(Self.minimal(#", "mem_limit": "16m""#)).revision
        #expect(small.resources.shmBytes == 4 << 20)
    }

    @Test(arguments: [
        full, minimal(),
        #"{"name":"f","kind":"function","image":"\#(image)","function":{"timeout":"3s","url":"/f","#
            + #""schedule":["*/5 * * * *"],"base_image":"\#(image)"},"egress":[]}"#,
        #"{"name":"z","kind":"function","image":"https://files.example/a/f.zip?v=2@sha256:\#(String(repeating: "0", count: 64))","#
            + #""function":{"base_image":"\#(image)"}}"#,
        #"{"name":"m","kind":"vm","image":"\#(image)","vm":{"firmware":"kernel","cmdline":"quiet","disk_size":"2g"}}"#,
    ])
    func theWrittenOutDocumentIsReadBackEqual(_ text: String) throws {
        let workload = try Self.read(text)
        #expect(try Workload(parsing: workload.document.json) == workload)
        let wire = try Wire.encode(workload)
        #expect(try Wire.decode(Workload.self, from: wire) == workload)
        #expect(try Workload(parsing: wire).revision.canonical == workload.revision.canonical)
    }

    @Test func aRevisionsBytesDoNotDependOnNameLabelsOrSpelling() throws {
        let one = try Self.read(Self.minimal(#", "mem_limit": "1g", "labels": {"a": "b"}"#))
        let other = try Self.read(
            #"{"image": "\#(Self.image)", "name": "x", "mem_limit": 1073741824, "pids_limit": 256}"#)
        #expect(one.revision.canonical == other.revision.canonical)
    }

    /// Each row: what is added to a good document, and what the answer must name.
    @Test(arguments: [
        (#", "memlimit": "1g""#, "memlimit: is not a known field; the nearest known one is 'mem_limit'"),
        (#", "enviroment": {}"#, "the nearest known one is 'environment'"),
        (#", "volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {"sizes": "1m"}}]"#, "nearest known one is 'size'"),
        (
            #", "volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {"sizes": "1m"}}]"#,
            "volumes[0].tmpfs.size: is missing"
        ),
        (#", "mem_limit": "64 monkeys""#, "mem_limit: '64 monkeys': allowed is a size from 8MiB to 16TiB"),
        (#", "mem_limit": "64MB""#, "mem_limit: '64MB'"), (#", "mem_limit": -1"#, "mem_limit: '-1'"),
        (#", "mem_limit": "99999999999999999999g""#, "mem_limit"), (#", "cpus": "1.2345""#, "cpus: '1.2345'"),
        (#", "pids_limit": 0"#, "pids_limit: '0': allowed is a whole number from 1 to 32768"),
        (#", "kind": "vmm""#, "kind: 'vmm': allowed is one of container, vm, function; did you mean 'vm'?"),
        (#", "privileged": true"#, "privileged: is not offered here: it does not exist"),
        (#", "cap_add": ["SYS_ADMIN"]"#, "cap_add: is not offered here: ask by name in permissions"),
        (#", "permissions": ["capability.sys-admin"]"#, "permissions[0]: 'capability.sys-admin'"),
        (#", "ports": ["80"]"#, "ports[0]: '80': allowed is published:target"),
        (#", "ports": ["80:80", "80:81"]"#, "port 80/tcp is published twice"),
        (#", "ports": ["0:80"]"#, "ports[0]"), (#", "ports": ["80:80/sctp"]"#, "ports[0]"),
        (#", "egress": [{"to": "192.0.2.1/24", "ports": [1]}]"#, "a prefix whose host bits are zero"),
        (#", "egress": [{"to": "192.0.2.0/24", "ports": []}]"#, "needs at least one port"),
        (#", "egress": [{"to": "Example.COM", "ports": [1]}]"#, "egress[0].to: 'Example.COM'"),
        (#", "egress": [{"to": "*", "ports": [1]}]"#, "egress[0].to"),
        (#", "egress": [{"to": "*.com", "ports": [1]}]"#, "egress[0].to"),
        (#", "network_mode": "host""#, "network_mode: 'host': allowed is none"),
        (#", "network_mode": "none", "ports": ["80:80"]"#, "stands beside egress"),
        (
            #", "volumes": [{"type": "bind", "source": "/etc", "target": "/x"}]"#,
            "volumes[0].type: 'bind': allowed is one of volume, tmpfs"
        ),
        (#", "volumes": ["data:/data"]"#, "every volume has a quota here"),
        (
            #", "volumes": [{"type": "volume", "source": "d", "target": "/proc/x", "volume": {"size": "1g"}}]"#,
            "outside /dev, /proc and /sys"
        ),
        (
            #", "volumes": [{"type": "volume", "source": "d", "target": "/a/../b", "volume": {"size": "1g"}}]"#,
            "volumes[0].target: '/a/../b'"
        ),
        (#", "volumes": [{"type": "volume", "source": "d", "target": "/a"}]"#, "volumes[0].volume: is missing"),
        (#", "volumes": [{"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1g"}}]"#, "above mem_limit"),
        (#", "secrets": ["../x"]"#, "secrets[0]: '../x'"),
        (#", "secrets": [{"source": "x", "target": "../etc/passwd"}]"#, "secrets[0].target"),
        (#", "secrets": [{"source": "x", "mode": "4755"}]"#, "secrets[0].mode: '4755'"),
        (#", "healthcheck": {"test": ["CMD", "x"], "tcp": {"port": 1}}"#, "exactly one of test, http and tcp"),
        (#", "healthcheck": {"http": {"port": 80}}"#, "a check by network needs one"),
        (#", "healthcheck": {"test": ["true"]}"#, "healthcheck.test"),
        (#", "healthcheck": {"test": "x", "interval": "5"}"#, "healthcheck.interval: '5'"),
        (#", "restart": "sometimes""#, "restart: 'sometimes'"), (#", "restart": false"#, "put it in quotes"),
        (#", "stop_grace_period": "1d""#, "stop_grace_period: '1d'"), (#", "stop_signal": "SIGSEGV""#, "stop_signal"),
        (#", "user": "70000""#, "user: '70000'"),
        (#", "command": "run me""#, "command: 'run me': allowed is a list of words"),
        (#", "depends_on": ["web"]"#, "cannot depend on itself"),
        (#", "links": ["a:x", "b:x"]"#, "two links have one alias"),
        (#", "vm": {}"#, "belongs to kind: vm"), (#", "function": {}"#, "belongs to kind: function"),
        (#", "deploy": {"resources": {}}"#, "use mem_limit, cpus and pids_limit"),
        (#", "ulimits": {"nofile": {"soft": 300, "hard": 200}}"#, "the soft limit is above the hard one"),
        (#", "format": 2"#, "format: '2': allowed is 1"),
        (#", "environment": ["NOVALUE"]"#, "environment[0]: allowed is NAME=VALUE"),
        (
            #", "deploy": {"placement": {"constraints": ["node.role==manager"]}}"#,
            "deploy.placement.constraints[0]: 'node.role==manager'"
        ),
    ])
    func aMistakeIsNamedWithItsPlaceAndWhatIsAllowed(_ added: String, _ expected: String) {
        let problems = Self.problems(Self.minimal(added))
        #expect(problems.contains { $0.contains(expected) }, "\(problems)")
    }

    @Test func oneAnswerNamesEveryMistake() {
        let problems = Self.problems(#"{"name": "Web!", "image": "nginx", "cpus": "x", "hostname": "-", "zzz": 1}"#)
        #expect(problems.map { String($0.prefix { $0 != ":" }) } == ["name", "image", "hostname", "cpus", "zzz"])
        #expect(Self.problems("{" + (0..<100).map { #""u\#($0)": 1"# }.joined(separator: ",") + "}").count == 32)
    }

    @Test func secretsAndEnvironmentStayOutOfMessages() {
        let problems = Self.problems(Self.minimal(#", "environment": {"A": ["hunter2"]}, "hostname": 5"#))
        #expect(problems.count == 2 && !problems.contains { $0.contains("hunter2") })
        let secret = SecretValue(bytes: Array("hunter2".utf8))
        var dumped = ""
        dump(secret, to: &dumped)
        #expect(!dumped.contains("104") && !"\(secret as Any)".contains("hunter"))
    }

    @Test(arguments: [
        "nginx", "docker.io/library/nginx", "registry.example/Team/app:1", "registry.example/a/../b:1",
        "r.example/a@sha256:12",
        "r.example/a@sha512:\(digest)", "r.example/a:1@sha256:\(digest)@sha256:\(digest)", "http://r.example/a:1",
        "/a:1", "r.example/:1",
        "r.example:99999/a:1", "r.example/a:-x", "r.example/a b:1", "",
    ])
    func anImageThatCouldMeanTwoThingsIsRefused(_ text: String) { #expect(WorkloadImage(text) == nil) }

    @Test func aTagIsOnlyAcceptedWhereItIsResolved() throws {
        let tagged = #"{"name": "web", "image": "registry.example/app:1"}"#
        #expect(Self.problems(tagged).first?.contains("names a tag") == true)
        let workload = try Self.read(tagged, requiresDigest: false)
        let digest = try #require(Digest256(hex: Self.digest))
        #expect(workload.revision.image.resolved(to: digest).description == "registry.example/app:1@sha256:\(digest)")
    }
}
