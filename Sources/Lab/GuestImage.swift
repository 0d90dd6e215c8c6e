import Contract
import FoundationEssentials
import Glibc

extension Registry {
    /// What documents name for a virtual machine.
    static let guestImage = "\(name)/guest:1"

    /// The guest's whole userland: it takes its address from the kernel's arguments, serves a page, gives back what it
    /// hears on its console, and shuts down when its power button is pressed.
    private static let start = #"""
        #!/bin/sh
        export PATH=/bin
        mount -t proc proc /proc
        mount -t sysfs sys /sys
        mount -t devtmpfs dev /dev 2>/dev/null
        for module in virtio_mmio failover net_failover virtio_net button evdev; do insmod /modules/$module.ko; done
        for word in $(cat /proc/cmdline); do
          case $word in ip=*) address=${word#ip=} ;; esac
        done
        own=${address%%:*} rest=${address#*::} && gateway=${rest%%:*} rest=${rest#*:} && mask=${rest%%:*}
        ifconfig lo 127.0.0.1 up
        ifconfig eth0 "$own" netmask "$mask" up
        route add default gw "$gateway" dev eth0
        httpd -p 8080 -h /www
        (head -c 24 /dev/input/event0 >/dev/null; echo 'the button was pressed'; poweroff -f) &
        echo "the guest is up at $own with $(sed -n 's/^MemTotal: *//p' /proc/meminfo), $(grep -c ^processor /proc/cpuinfo) processor"
        while read -r line; do echo "heard: $line"; done

        """#

    /// Makes an artifact of the release's own kernel and a small initramfs, and uploads it.
    func pushGuest() throws {
        let root = directory + "/guest"
        try fill(root, programs: [sysroot + "/usr/bin/busybox"])
        let modules = try ChildProcess.check(["sh", "-c", "echo \"$1\"/usr/lib/modules/*", "modules", sysroot])
            .trimmingSpace
        let script = """
            set -e
            mkdir -p "$1/modules" "$1/www"
            for name in drivers/virtio/virtio_mmio drivers/net/net_failover net/core/failover drivers/net/virtio_net \\
                drivers/acpi/button drivers/input/evdev; do
                xz -dc "$2/kernel/$name.ko.xz" >"$1/modules/${name##*/}.ko"
            done
            for name in sh mount insmod cat sed grep head ifconfig route httpd poweroff; do
                ln -s busybox "$1/bin/$name"
            done
            echo 'served by a guest' >"$1/www/index.html"
            cd "$1"
            find . -type f | sort
            """
        let files = try ChildProcess.check(["sh", "-c", script, "guest", root, modules])
        var archive = Cpio()
        try addFolders(root, to: &archive)
        for file in files.split(separator: "\n").map({ String($0.dropFirst(2)) }) {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: root + "/" + file))
            archive.add(file, mode: S_IFREG | 0o755, content: Array(bytes))
        }
        for name in ["lib", "lib64"] { archive.add(name, mode: S_IFLNK | 0o777, content: Array("usr/\(name)".utf8)) }
        for name in ["sh", "mount", "insmod", "cat", "sed", "grep", "head", "ifconfig", "route", "httpd", "poweroff"] {
            archive.add("bin/\(name)", mode: S_IFLNK | 0o777, content: Array("busybox".utf8))
        }
        archive.add("init", mode: S_IFREG | 0o755, content: Array(Self.start.utf8))
        let initrd = directory + "/guest.cpio"
        try Data(archive.archive).write(to: URL(fileURLWithPath: initrd))
        try uploadArtifact(
            "guest",
            parts: [
                (sysroot + "/../base/vmlinuz", "application/vnd.apus.kernel.v1"),
                (initrd, "application/vnd.apus.initrd.v1"),
            ])
    }

    private func addFolders(_ root: String, to archive: inout Cpio) throws {
        let listing = try ChildProcess.check(["sh", "-c", "cd \"$1\" && find . -type d | sort", "folders", root])
        for folder in listing.split(separator: "\n").map({ String($0.dropFirst(2)) }) where !folder.isEmpty {
            archive.add(folder, mode: S_IFDIR | 0o755)
        }
    }

    /// Uploads an artifact whose layers are files of given media types (OCI image specification, "artifact usage").
    func uploadArtifact(_ name: String, parts: [(path: String, type: String)]) throws {
        let script = """
            set -e
            registry=$1
            shift
            work=$(mktemp -d)
            trap 'rm -r "$work"' EXIT
            upload() {
                place=$(curl -fsS -D - -o /dev/null -X POST "$registry/blobs/uploads/" | tr -d '\\r' |
                    sed -n 's/^[Ll]ocation: //p')
                case $place in *\\?*) place="$place&digest=sha256:$2" ;; *) place="$place?digest=sha256:$2" ;; esac
                curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$place"
            }
            describe() {
                digest=$(sha256sum "$1" | cut -c 1-64)
                upload "$1" "$digest"
                printf '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$2" "$digest" "$(stat -c %s "$1")"
            }
            type=application/vnd.oci
            printf '{}' >"$work/empty"
            config=$(describe "$work/empty" $type.empty.v1+json)
            layers=
            while [ $# -gt 0 ]; do
                layers="$layers${layers:+,}$(describe "$1" "$2")"
                shift 2
            done
            printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"application/vnd.apus.machine.v1",' \\
                $type.image.manifest.v1+json >"$work/manifest"
            printf '"config":%s,"layers":[%s]}' "$config" "$layers" >>"$work/manifest"
            curl -fsS -o /dev/null -X PUT -H "Content-Type: $type.image.manifest.v1+json" \\
                --data-binary "@$work/manifest" "$registry/manifests/1"
            """
        try ChildProcess.check(
            ["sh", "-c", script, "upload", "http://\(local):5000/v2/\(name)"] + parts.flatMap { [$0.path, $0.type] })
    }
}

extension String {
    /// Without the line's end.
    fileprivate var trimmingSpace: String { String(split(separator: "\n").first ?? "") }
}
