import Contract
import FoundationEssentials

extension Registry {
    /// Makes the image of attacker and victim and uploads it: `apus-attack` with the libraries that it needs, a busybox,
    /// and a set-user-id program of another user.
    func pushAttackImage(program: String) throws {
        guard Files.exists(program) else { throw LabError("'\(program)' is missing; run 'make attack' first") }
        let root = directory + "/attack"
        try fill(root, programs: [program, sysroot + "/usr/bin/busybox"])
        let script = """
            set -e
            cd "$1"
            mkdir -p attack/data attack/scratch
            cp attack/bin/apus-attack attack/bin/set-user-id
            for name in sh true; do ln -s busybox "attack/bin/$name"; done
            tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --exclude=./bin/set-user-id -C attack \
                -cf attack.tar .
            tar --owner=1000 --group=1000 --numeric-owner --mtime=@0 --mode=4755 -C attack -rf attack.tar \
                ./bin/set-user-id
            """
        try ChildProcess.check(["sh", "-c", script, "attack", directory])
        try upload("attack", layers: [directory + "/attack.tar"])
    }

    /// Uploads an image of tar archives, the lowest first, under the tag `1` (OCI distribution specification, "Pushing").
    func upload(_ name: String, layers: [String]) throws {
        let script = """
            set -e
            registry=$1 architecture=$2
            shift 2
            work=$(mktemp -d)
            trap 'rm -r "$work"' EXIT
            upload() {
                place=$(curl -fsS -D - -o /dev/null -X POST "$registry/blobs/uploads/" | tr -d '\\r' |
                    sed -n 's/^[Ll]ocation: //p')
                case $place in *\\?*) place="$place&digest=sha256:$2" ;; *) place="$place?digest=sha256:$2" ;; esac
                curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$place"
            }
            type=application/vnd.oci.image
            diffs= layers=
            for layer in "$@"; do
                diffs="$diffs${diffs:+,}\\"sha256:$(sha256sum "$layer" | cut -c 1-64)\\""
                gzip -n -c "$layer" >"$work/layer"
                digest=$(sha256sum "$work/layer" | cut -c 1-64)
                size=$(stat -c %s "$work/layer")
                upload "$work/layer" "$digest"
                layers="$layers${layers:+,}{\\"mediaType\\":\\"$type.layer.v1.tar+gzip\\",\\"size\\":$size,"
                layers="$layers\\"digest\\":\\"sha256:$digest\\"}"
            done
            printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/bin"]},' "$architecture" >"$work/config"
            printf '"rootfs":{"type":"layers","diff_ids":[%s]}}' "$diffs" >>"$work/config"
            config=$(sha256sum "$work/config" | cut -c 1-64)
            upload "$work/config" "$config"
            printf '{"schemaVersion":2,"mediaType":"%s.manifest.v1+json","config":{"mediaType":"%s.config.v1+json",' \
                $type $type >"$work/manifest"
            printf '"digest":"sha256:%s","size":%s},"layers":[%s]}' "$config" "$(stat -c %s "$work/config")" \
                "$layers" >>"$work/manifest"
            curl -fsS -o /dev/null -X PUT -H "Content-Type: $type.manifest.v1+json" --data-binary "@$work/manifest" \
                "$registry/manifests/1"
            """
        let architecture = Architecture.current.rawValue
        try ChildProcess.check(
            ["sh", "-c", script, "upload", "http://\(local):5000/v2/\(name)", architecture] + layers)
    }
}
