import Contract
import Cryptography
import Linux
import Workloads

@testable import Images
@testable import Sandbox

/// Puts an image with a shell and curl into the store: what a function for `provided` runtimes written in shell needs.
struct RuntimeImage: ImageFetcher {
    /// Why no such image can be made here; nil where it can.
    static let obstacle: String? =
        Tool.obstacle ?? ["bash", "curl", "ldd"].first { !Tool.has($0) }.map { "\($0) is not installed" }

    /// More lines for the script that fills `tree`.
    var more = ""
    var entrypoint = ["/var/runtime/bootstrap"]

    /// A bootstrap as Lambda's developer guide describes one ("Building a custom runtime"): it loads the handler's file,
    /// asks for a call, runs the handler's function and sends what that wrote.
    static let shell = #"""
        #!/bin/bash
        set -euo pipefail
        api="http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation"
        . "$LAMBDA_TASK_ROOT/${_HANDLER%%.*}.sh"
        while :; do
          head=$(mktemp)
          event=$(curl -sSL -D "$head" "$api/next")
          id=$(grep -i '^lambda-runtime-aws-request-id:' "$head" | cut -d ' ' -f 2 | tr -d '\r')
          answer=$("${_HANDLER#*.}" "$event")
          curl -sS -d "$answer" "$api/$id/response"
        done

        """#

    /// A handler that does what the query says.
    static let handler = #"""
        env >/tmp/env
        handler () {
          n=$(cat /tmp/calls 2>/dev/null || echo 0)
          n=$((n + 1))
          echo $n >/tmp/calls
          case "$1" in
            *mode=sleep*) sleep 60 ;;
            *mode=nap*) sleep 0.2 ;;
            *mode=crash*) exit 3 ;;
            *mode=env*) printf '"%s"' "$(tr '\n' ' ' </tmp/env)"; return ;;
            *mode=fill*) dd if=/dev/zero of=/tmp/full bs=1024k count=100 2>/dev/null || true; printf '"%s"' "$(wc -c </tmp/full)"; return ;;
            *mode=hostile*)
              for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001; head -c 200000 /dev/urandom >&3; sleep 5' 2>/dev/null &
                bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001; printf "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n" >&3; sleep 5' &
                bash -c 'exec 3<>/dev/tcp/127.0.0.1/9001; printf "POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\n" >&3; sleep 5' &
              done ;;
            *mode=loop*) printf '"%s"' "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \n')"; return ;;
            *boot*) echo "heard $1" ;;
          esac
          printf '{"statusCode": 200, "headers": {"x-call": "%s"}, "body": "call %s"}' $n $n
        }

        """#

    /// A client that streams, fails and says that it cannot begin.
    static let streamer = #"""
        #!/bin/bash
        api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
        if [ "${BROKEN:-}" ]; then
          curl -s -H 'Lambda-Runtime-Function-Error-Type: Init.Broken' -d '{"errorMessage": "no", "errorType": "Init.Broken"}' $api/init/error
          exit 1
        fi
        stream () {
          curl -s -X POST -T - -H 'Lambda-Runtime-Function-Response-Mode: streaming' -H "Content-Type: $1" $api/invocation/$id/response
        }
        while :; do
          event=$(curl -s -D /tmp/head $api/invocation/next)
          id=$(grep -i aws-request-id /tmp/head | tr -d '\r ' | cut -d: -f2)
          case "$event" in
            *mode=pieces*) (echo one; sleep 0.3; echo two) | stream text/plain ;;
            *mode=prelude*)
              (printf '{"statusCode": 206, "headers": {"x-mine": "yes"}, "cookies": ["a=b"]}'; head -c 8 /dev/zero; echo body) |
                stream application/vnd.awslambda.http-integration-response ;;
            *mode=large*) head -c 15000000 /dev/zero | stream application/octet-stream ;;
            *mode=endless*) cat /dev/zero | stream application/octet-stream ;;
            *mode=wide*) head -c 7000000 /dev/zero | tr '\0' x | curl -s --data-binary @- $api/invocation/$id/response ;;
            *mode=trailer*)
              exec 3<>/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\/}
              printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\nLambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n4\r\npart\r\n0\r\nLambda-Runtime-Function-Error-Type: Stream.Broke\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n' $id >&3
              head -n 1 <&3
              exec 3<&- ;;
            *mode=wrong*)
              for path in invocation/nothing/response invocation/$id/other init/error; do
                curl -s -o /dev/null -w '%{http_code} ' -d x $api/$path
              done >/tmp/codes
              curl -s -d "\"$(cat /tmp/codes)\"" $api/invocation/$id/response ;;
            *) curl -s -H 'Lambda-Runtime-Function-Error-Type: My.Error' -d '{"errorMessage": "secret", "errorType": "My.Error"}' $api/invocation/$id/error ;;
          esac
        done

        """#

    func fetch(_ request: ImagePullRequest) throws {
        guard let digest = try ImageReference(parsing: request.reference).digest else {
            throw SandboxError("no digest")
        }
        let folder = "\(request.directory)/node/images/\(digest)-strip-0"
        try Files.makeDirectory(folder)
        try Files.makeDirectory(folder + "/scripts")
        for (name, text) in [
            ("bootstrap", Self.shell), ("function.sh", Self.handler), ("streamer", Self.streamer),
        ] { try Files.writeDurably(Array(text.utf8), to: "\(folder)/scripts/\(name)", mode: 0o755) }
        let script = """
            set -e
            mkdir -p tree/bin tree/proc tree/sys tree/dev tree/etc tree/tmp tree/var/task tree/var/runtime
            cp $(command -v busybox) tree/bin/busybox
            for tool in cat cut dd env grep head mktemp seq sleep tail tr wc; do ln -s busybox tree/bin/$tool; done
            for tool in bash curl; do
                path=$(command -v $tool)
                cp -L $path tree/bin/$tool
                for library in $(ldd $path | grep -o '/[^ )]*'); do
                    mkdir -p tree$(dirname $library)
                    cp -L -n $library tree$library
                done
            done
            cp tree/bin/bash tree/bin/sh
            cp scripts/bootstrap tree/var/runtime/bootstrap
            cp scripts/function.sh scripts/streamer tree/var/task/
            chmod 755 tree/var/runtime/bootstrap tree/var/task/*
            \(more)
            mkfs.erofs root.erofs tree >/dev/null
            echo tree >root.verity
            rm -r tree
            """
        let made = try Processes.run("/bin/sh", ["-c", script], directory: folder, timeoutSeconds: 120)
        guard made.succeeded, let bytes = Files.status(folder + "/root.erofs")?.sizeBytes else {
            throw SandboxError("the image cannot be made: \(made.summary)")
        }
        let words = entrypoint.map { "\"\($0)\"" }.joined(separator: ", ")
        let config =
            Array(
                #"{"os": "linux", "architecture": "amd64", "config": {"Entrypoint": [\#(words)]}, "#.utf8)
            + Array(#""rootfs": {"type": "layers", "diff_ids": []}}"#.utf8)
        guard let name = Digest256(bytes: SHA256.digest(config)) else { throw SandboxError("no digest") }
        let image = StoredImage(
            format: wireFormat, reference: request.reference, digest: digest, config: name, layers: [],
            setID: .strip, strippedFiles: 0, idOffset: 0, blocks: bytes / 4096, rootHash: name, salt: "",
            sizeBytes: bytes)
        try Files.writeDurably(config, to: folder + "/config.json")
        try Files.writeDurably(try Wire.encode(image), to: folder + "/image.json")
    }
}
