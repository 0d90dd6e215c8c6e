import Contract

extension Registry {
    /// What documents name for a function.
    static let functionImage = "\(name)/function:1"

    /// A bootstrap in shell, as for any `provided` runtime: nothing in it knows of Apus.
    private static let bootstrap = #"""
        #!/bin/sh
        set -eu
        api="http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation"
        . "$LAMBDA_TASK_ROOT/${_HANDLER%%.*}.sh"
        while :; do
          event=$(curl -sSL -D /tmp/head "$api/next")
          id=$(sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *\([^[:space:]]*\).*/\1/p' /tmp/head)
          answer=$("${_HANDLER#*.}" "$event")
          curl -sS -o /dev/null -d "$answer" "$api/$id/response"
        done

        """#

    /// A handler that does what the query says. It counts its calls and, once told to, the tenths of seconds for which it
    /// runs.
    private static let handler = #"""
        tick() { while :; do echo tick; usleep 100000; done }
        handle() {
          echo "$(($(cat /tmp/calls 2>/dev/null || echo 0) + 1))" >/tmp/calls
          case $1 in
            *mode=sleep*) sleep 120 ;;
            *mode=crash*) exit 3 ;;
            *mode=ticks*)
              [ -e /tmp/ticks ] || { : >/tmp/ticks; tick >>/tmp/ticks 2>&1 </dev/null & }
              wc -l </tmp/ticks
              return ;;
          esac
          echo "call $(cat /tmp/calls)"
        }

        """#

    /// Makes an image with a shell, curl, a bootstrap and a handler, and uploads it.
    func pushFunctionImage() throws {
        let root = directory + "/function"
        try Files.makeFolder(root + "/var/runtime")
        try Files.makeFolder(root + "/var/task")
        try Files.write(Self.bootstrap, to: root + "/var/runtime/bootstrap", mode: 0o755)
        try Files.write(Self.handler, to: root + "/var/task/function.sh", mode: 0o644)
        try fill(root, programs: ["busybox", "curl"].map { "\(sysroot)/usr/bin/\($0)" })
        let script = """
            set -e
            cd "$1"
            for name in sh cat echo sed sleep usleep wc; do ln -s busybox "function/bin/$name"; done
            tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C function -cf function.tar .
            """
        try ChildProcess.check(["sh", "-c", script, "function", directory])
        try upload("function", layers: [directory + "/function.tar"])
    }

    /// Fills a folder with programs of the sysroot, the libraries that they need, and the places that a root needs.
    func fill(_ root: String, programs: [String]) throws {
        let script = """
            set -e
            root=$1 sysroot=$2
            shift 2
            mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/etc" "$root/tmp" "$root/usr/lib" \
                "$root/usr/lib64"
            ln -s usr/lib "$root/lib"
            ln -s usr/lib64 "$root/lib64"
            cp -L "$sysroot"/usr/lib64/ld-linux-*.so.* "$root/usr/lib64/"
            todo=
            for program in "$@"; do
                cp -L "$program" "$root/bin/"
                todo="$todo $root/bin/${program##*/}"
            done
            while [ -n "$todo" ]; do
                next=
                for file in $todo; do
                    for name in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p'); do
                        found=$(cd "$sysroot" && find usr/lib usr/lib64 -name "$name" | head -n 1)
                        [ -n "$found" ] || { echo "'$name' is not in the sysroot" >&2; exit 1; }
                        [ ! -e "$root/$found" ] || continue
                        mkdir -p "$root/$(dirname "$found")"
                        cp -L "$sysroot/$found" "$root/$found"
                        next="$next $root/$found"
                    done
                done
                todo=$next
            done
            """
        try ChildProcess.check(["sh", "-c", script, "fill", root, sysroot] + programs)
    }
}
