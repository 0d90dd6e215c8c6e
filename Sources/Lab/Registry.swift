import Contract
import FoundationEssentials
import Glibc

/// Debian 13's `docker-registry` on the lab's network, with one small image in it: a busybox that serves a page and says
/// what it does.
final class Registry {
    /// The registry's name in documents; nobody resolves it, the mirror is asked.
    static let name = "registry.lab"
    /// What documents name.
    static let image = "\(name)/web:1"

    let directory: String
    let sysroot: String
    private let program: String
    private let network: Network.Kind
    private var child: ChildProcess?

    /// The address that server and node ask.
    static var mirror: String { "http://\(Network.serverAddress):5000" }

    /// Where it is asked from the lab itself.
    var local: String { network == .namespace ? Network.serverAddress : "127.0.0.1" }

    /// A registry whose files are below `directory`.
    init(directory: String, paths: LabPaths, network: Network.Kind) {
        self.directory = directory
        sysroot = paths.out + "/sysroot"
        program = paths.out + "/tools/docker-registry"
        self.network = network
    }

    /// Starts it and returns once it answers.
    func start() throws {
        try Files.makeFolder(directory)
        let settings = """
            version: 0.1
            log: {level: warn}
            storage: {filesystem: {rootdirectory: \(directory)/data}}
            http: {addr: "\(local):5000"}

            """
        try Files.write(settings, to: directory + "/config.yml")
        child = try ChildProcess(
            .init(command: [program, "serve", directory + "/config.yml"], logPath: directory + "/log"))
        let deadline = Deadline(seconds: 30)
        while try ChildProcess.run(["curl", "-fsS", "http://\(local):5000/v2/"]).exitCode != 0 {
            guard !deadline.isOver else { throw LabError("docker-registry does not answer; see \(directory)/log") }
            _ = poll(nil, 0, 100)
        }
    }

    /// Ends it.
    func stop() {
        child?.stop()
        child = nil
    }

    /// Makes the image and uploads it (OCI distribution specification, "Pushing").
    func push() throws {
        let script = """
            set -e
            cd "$1"
            rm -rf image && mkdir -p image/bin image/proc image/sys image/dev image/etc image/tmp image/www
            for library in $(cd "$2" && find usr/lib usr/lib64 -name 'libc.so.6' -o -name 'libresolv.so.2' \
                -o -name 'ld-linux-*.so.*'); do
                mkdir -p "image/$(dirname "$library")"
                cp -L "$2/$library" "image/$library"
            done
            ln -s usr/lib image/lib
            ln -s usr/lib64 image/lib64
            cp -L "$2/usr/bin/busybox" image/bin/busybox
            for name in sh httpd wget sleep cat id; do ln -s busybox "image/bin/$name"; done
            echo 'served by a workload' >image/www/index.html
            tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C image -cf layer.tar .
            diff=$(sha256sum layer.tar | cut -c 1-64)
            gzip -n -f layer.tar
            layer=$(sha256sum layer.tar.gz | cut -c 1-64)
            printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},' "$4" >config.json
            printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$diff" >>config.json
            config=$(sha256sum config.json | cut -c 1-64)
            upload() {
                place=$(curl -fsS -D - -o /dev/null -X POST "$3/blobs/uploads/" | tr -d '\\r' |
                    sed -n 's/^[Ll]ocation: //p')
                case $place in *\\?*) place="$place&digest=sha256:$2" ;; *) place="$place?digest=sha256:$2" ;; esac
                curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$place"
            }
            upload layer.tar.gz "$layer" "$3"
            upload config.json "$config" "$3"
            type=application/vnd.oci.image
            printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json",' \
                $type $type >manifest.json
            printf '"digest":"sha256:%s","size":%s},"layers":[{"mediaType":"%s.layer.v1.tar+gzip",' \
                "$config" "$(stat -c %s config.json)" $type >>manifest.json
            printf '"digest":"sha256:%s","size":%s}]}' "$layer" "$(stat -c %s layer.tar.gz)" >>manifest.json
            curl -fsS -o /dev/null -X PUT -H "Content-Type: $type.manifest.v1+json" --data-binary @manifest.json \
                "$3/manifests/1"
            """
        let architecture = Architecture.current.rawValue
        try ChildProcess.check(
            ["sh", "-c", script, "push", directory, sysroot, "http://\(local):5000/v2/web", architecture])
    }
}
