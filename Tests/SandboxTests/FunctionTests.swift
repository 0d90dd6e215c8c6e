import Contract
import Foundation
import Linux
import TestSupport
import Testing
import Workloads

@testable import Sandbox

/// Functions on a node with a real runtime, real namespaces and real clients.
@Suite(
    .ownThreads,
    .enabled(if: RuntimeImage.obstacle == nil, "no function can be run here: \(RuntimeImage.obstacle ?? "")"),
    .serialized)
struct Functions {
    static func settings(_ more: String) -> String {
        #", "function": {"handler": "function.handler", \#(more)}"#
    }

    /// A bootstrap in shell from its first call to its end.
    @Test func anUnmodifiedBootstrapIsStartedKeptFrozenThawedAndTakenAwayWhole() throws {
        let node = try FunctionNode()
        try node.run(["web": Self.settings(#""url": "/web", "timeout": "60s", "concurrency": 1"#)])
        #expect(node.instances.isEmpty, "nothing runs before the first call")
        let cold = node.call("/web/path?a=b", ["-D", "-"])
        #expect(cold.status == 200 && cold.text.hasSuffix("call 1"), "\(cold) \(node.lines)")
        #expect(cold.text.contains("x-call: 1") && cold.text.contains("x-amzn-requestid: "))
        let unit = try #require(node.instances.first)
        #expect(node.settle { node.units.read(unit, "cgroup.events").contains("frozen 1") })
        // The same instance goes on, and is stopped again.
        #expect(node.call("/web").text == "call 2")
        #expect(node.settle { node.units.read(unit, "cgroup.events").contains("frozen 1") })
        #expect(node.call("/web").text == "call 3" && node.instances == [unit])

        let environment = node.call("/web?mode=env").text
        for variable in [
            "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "LAMBDA_TASK_ROOT=/var/task", "_HANDLER=function.handler",
            "AWS_LAMBDA_FUNCTION_NAME=web", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
        ] { #expect(environment.contains(variable), "\(environment)") }
        #expect(node.call("/web?mode=loop").text == "lo", "a function without a network has loopback only")
        let filled = Int(node.call("/web?mode=fill").text) ?? 0
        #expect((60 << 20...64 << 20).contains(filled), "/tmp ends at its size: \(filled)")
        #expect(node.call("/other").status == 404 && node.call("/webby").status == 404)

        for word in ["START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "Init Duration: "] {
            #expect(node.lines.contains { $0.contains(word) }, "\(node.lines)")
        }
        let id = try #require(node.lines.first { $0.hasPrefix("START") }?.split(separator: " ").dropFirst(2).first)
        #expect(cold.text.contains(id), "the caller can find its lines")
        try node.wait { $0.first?.calls.map { $0.calls >= 6 && $0.errors == 0 && $0.coldStarts == 1 } == true }

        node.keeper.assign(WorkloadAssignment(generation: 9))
        #expect(node.settle { (try? Files.list(node.places.bundles)) == [] }, "\(node.lines)")
        #expect(node.instances.isEmpty)
        #expect(try Files.list(node.places.functions).isEmpty)
        let left = node.scratch.mounts.filter { !$0.hasSuffix("node-net") && !$0.hasSuffix("groups") }
        #expect(left.isEmpty, "\(left)")
    }

    /// What callers of many kinds send, and what is no HTTP or too much.
    @Test func callersSpeakHTTPAsTheyAreUsedTo() throws {
        let node = try FunctionNode()
        try node.run(["web": Self.settings(#""url": "/web", "timeout": "60s", "concurrency": 1"#)])
        let file = try node.scratch.folder.file("body", [UInt8](repeating: 0x61, count: 3_000_000))
        let over = try node.scratch.folder.file("over", [UInt8](repeating: 0x61, count: 7_000_000))
        let type = ["-H", "content-type: text/plain"]
        #expect(node.call("/web", ["-0"]).text == "call 1")
        #expect(node.call("/web", ["-H", "Transfer-Encoding: chunked", "-d", "hello"]).text == "call 2")
        let twice = node.call("/web", [node.url("/web"), "-w", "%{num_connects}\n%{http_code}"])
        #expect(twice.text.contains("call 3") && twice.text.contains("call 40"), "one connection: \(twice)")
        #expect(node.call("/web", ["-I"]).text.contains("content-length: 6"))
        #expect(node.call("/web", type + ["-H", "Expect: 100-continue", "-d", "hello"]).status == 200)
        #expect(node.call("/web", ["-H", "Transfer-Encoding: gzip, chunked", "-d", "hello"]).status == 501)
        #expect(node.call("/web", ["-H", "Content-Length: 5", "-H", "Transfer-Encoding: chunked"]).status == 400)
        #expect(node.call("/web", type + ["--data-binary", "@\(over)"]).status == 413)
        #expect(node.call("/web", type + ["--data-binary", "@\(file)"]).text.hasPrefix("call "))
    }

    @Test func aTimeOutAndACrashEndTheirOwnCallOnly() throws {
        let node = try FunctionNode()
        try node.run(["web": Self.settings(#""url": "/", "timeout": "2s", "concurrency": 1"#)])
        #expect(node.call("/").text == "call 1")
        let late = node.call("/?mode=sleep")
        #expect(late.status == 504 && late.text.contains("Task timed out after 2.00 seconds"), "\(late)")
        #expect(node.call("/").text == "call 1", "another instance answers")
        let gone = node.call("/?mode=crash")
        #expect(gone.status == 502 && gone.text.contains("Runtime.ExitError"), "\(gone)")
        #expect(gone.text.contains("exit status 3"), "\(gone)")
        #expect(node.call("/").text == "call 1")
        #expect(node.settle { node.instances.count == 1 }, "\(node.instances)")
        #expect(node.lines.contains { $0.contains("Status: timeout") })
    }

    @Test func fiftyCallsAtOnceAreAnsweredByTwoInstancesAndMoreThanTheQueueIsRefused() throws {
        let node = try FunctionNode()
        try node.run([
            "small": Self.settings(#""url": "/small", "concurrency": 1, "queue": 1, "timeout": "20s""#),
            "web": Self.settings(#""url": "/web", "concurrency": 2, "queue": 48, "timeout": "60s""#),
        ])
        func storm(_ path: String, _ count: Int) -> [String: Int] {
            let script = """
                seq \(count) | xargs -P \(count) -I N curl -s -m 100 -o /dev/null -w '%{http_code}\\n' '\(node.url(path))'
                """
            let words = Tool.run(["sh", "-c", script], seconds: 120).output.split(separator: "\n").map(String.init)
            return Dictionary(words.map { ($0, 1) }) { $0 + $1 }
        }
        #expect(storm("/web", 50) == ["200": 50])
        #expect(node.instances.filter { $0.contains("-web-") }.count == 2)
        #expect(storm("/small?mode=nap", 8)["429", default: 0] >= 1)
        let refused = node.lines.first { $0.hasPrefix("THROTTLED") }
        #expect(refused?.contains("all 1 instances are busy and 1 calls wait already") == true, "\(node.lines)")
        #expect(node.call("/small").status == 200)
    }

    /// What one instance does to its Runtime API is its own trouble.
    @Test func aHostileInstanceDoesNotDisturbAnother() throws {
        let node = try FunctionNode()
        try node.run([
            "evil": Self.settings(#""url": "/evil", "timeout": "5s", "concurrency": 1"#),
            "web": Self.settings(#""url": "/web", "timeout": "60s", "concurrency": 1"#),
        ])
        #expect(node.call("/web").text == "call 1")
        let disturbed = node.call("/evil?mode=hostile")
        #expect([200, 502, 504].contains(disturbed.status), "\(disturbed)")
        for count in 2...10 { #expect(node.call("/web").text == "call \(count)") }
        #expect(node.settle { node.call("/evil").status == 200 }, "\(node.lines.suffix(10))")
    }

    @Test func streamsGoThroughPieceByPieceAndTheirErrorsAreSeen() throws {
        let node = try FunctionNode(image: RuntimeImage(entrypoint: ["/bin/bash", "/var/task/streamer"]))
        try node.run(["s": Self.settings(#""url": "/s", "timeout": "60s""#)])
        let pieces = node.call("/s?mode=pieces", ["-D", "-"])
        #expect(pieces.text.contains("transfer-encoding: chunked") && pieces.text.hasSuffix("one\ntwo\n"), "\(pieces)")
        #expect(pieces.text.contains("content-type: text/plain"))
        let prelude = node.call("/s?mode=prelude", ["-D", "-"])
        #expect(prelude.status == 206 && prelude.text.hasSuffix("body\n"), "\(prelude)")
        #expect(prelude.text.contains("x-mine: yes") && prelude.text.contains("set-cookie: a=b"))
        let large = node.call("/s?mode=large", ["-o", "/dev/null", "-w", "%{size_download}\n%{http_code}"])
        #expect(large.text.hasPrefix("15000000"), "\(large)")
        // Broken off: curl says that the transfer was cut (18).
        #expect(node.call("/s?mode=trailer").exit == 18)
        #expect(node.lines.contains { $0.contains("Stream.Broke") })
        #expect(node.call("/s?mode=endless", ["-o", "/dev/null"]).exit != 0)
        #expect(node.lines.contains { $0.contains("Function.ResponseSizeTooLarge") })
        let wide = node.call("/s?mode=wide")
        #expect(wide.status == 502 && wide.text.contains("Function.ResponseSizeTooLarge"), "\(wide)")
        let failed = node.call("/s")
        #expect(failed.status == 502 && failed.text.contains("My.Error") && !failed.text.contains("secret"))
        #expect(node.call("/s?mode=wrong").text == "400 404 403 ", "\(node.lines)")
    }

    @Test func anErrorOfInitialisationIsTheCallers() throws {
        let node = try FunctionNode(image: RuntimeImage(entrypoint: ["/bin/bash", "/var/task/streamer"]))
        try node.run(["s": Self.settings(#""url": "/s""#) + #", "environment": {"BROKEN": "1"}"#])
        let failed = node.call("/s")
        #expect(failed.status == 502 && failed.text.contains("Init.Broken"), "\(failed) \(node.lines)")
        #expect(node.settle { node.instances.isEmpty })
    }

    @Test func aFunctionWithANetworkHasAWireOfItsOwnWhileItLives() throws {
        let node = try FunctionNode()
        let more = Self.settings(#""url": "/n", "timeout": "60s", "idle": "1s""#)
        try node.run(["n": more + #", "egress": [{"to": "192.0.2.0/24", "ports": [443]}]"#])
        let tables = { Tool.run(["nsenter", "--net=\(node.network)", "nft", "list", "tables"]).output }
        #expect(node.call("/n?mode=loop").text.hasPrefix("lo"))
        // The instance ends for want of calls, and its wire with it.
        #expect(node.settle { node.instances.isEmpty && !tables().contains("apus_w") }, "\(tables())")
        #expect(node.lines.contains { $0.hasPrefix("REPORT") })
    }

    @Test func anotherRevisionTakesOverAndEventsOfTheNodeAreCalls() throws {
        let node = try FunctionNode()
        try node.run(["web": Self.settings(#""url": "/web", "events": ["boot"]"#)])
        #expect(node.call("/web").text == "call 1")
        let before = try #require(node.instances.first)
        try node.run(["web": Self.settings(#""url": "/next", "events": ["boot"]"#)])
        #expect(node.settle { node.call("/next").status == 200 })
        #expect(node.call("/web").status == 404)
        #expect(node.settle { !node.instances.contains(before) })
        let count = node.lines.count { $0.hasPrefix("REPORT") }
        node.keeper.happened(kind: "other", message: "no")
        node.keeper.happened(kind: "boot", message: "it started")
        #expect(node.settle { node.lines.count { $0.hasPrefix("REPORT") } == count + 1 }, "\(node.lines)")
        // Stopped gracefully before a restart.
        node.keeper.stopAll(withinSeconds: 60)
        #expect(node.instances.isEmpty)
        node.keeper.resume()
    }

    static let task = #", "working_dir": "/var/task""#

    /// Where `python3` finds AWS's own runtime client, `awslambdaric`, it is run as it is.
    @Test(.enabled(if: PythonClient.folders != nil, "python3 has no awslambdaric"))
    func awsOwnPythonClientRuns() throws {
        let image = RuntimeImage(
            more: try #require(PythonClient.script),
            entrypoint: ["/usr/bin/python3", "-m", "awslambdaric", "handler.handle"])
        let node = try FunctionNode(image: image)
        try node.run([
            "py": Self.settings(#""url": "/py", "timeout": "30s", "concurrency": 1, "init_timeout": "60s""#)
                + Self.task,
            "broken": Self.settings(#""url": "/broken", "timeout": "30s", "init_timeout": "60s""#)
                + Self.task + #", "command": ["nothing.handle"]"#
                + #", "entrypoint": ["/usr/bin/python3", "-m", "awslambdaric"]"#,
        ])
        let cold = node.call("/py/x?n=1", ["-H", "content-type: text/plain", "-d", "hi"])
        #expect(cold.status == 201 && cold.text == "POST /x n=1 hi True 1", "\(cold) \(node.lines)")
        let warm = node.call("/py/y?n=2")
        #expect(warm.text == "GET /y n=2  True 2", "\(warm)")
        let raised = node.call("/py?raise=1")
        #expect(raised.status == 502 && raised.text.contains("ValueError"), "\(raised)")
        #expect(node.call("/py").text.hasSuffix(" 4"), "an error does not end the instance")
        let broken = node.call("/broken")
        #expect(broken.status == 502 && broken.text.contains("Runtime.ImportModuleError"), "\(broken)")
    }
}

/// AWS's runtime client for Python, where it is installed.
enum PythonClient {
    static let folders: (base: String, packages: String)? = {
        let ask =
            "import awslambdaric, os, sys; print(sys.base_prefix); "
            + "print(os.path.dirname(os.path.dirname(awslambdaric.__file__)))"
        let own = ProcessInfo.processInfo.environment.filter { ["PATH", "PYTHONPATH"].contains($0.key) }
        let outcome = outcome(of: ["python3", "-c", ask], environment: own)
        let lines = outcome.output.split(separator: "\n").map(String.init)
        return outcome.status == 0 && lines.count == 2 ? (lines[0], lines[1]) : nil
    }()

    private static let handler = #"""
        count = 0
        def handle(event, context):
            global count
            count += 1
            if "raise=1" in event["rawQueryString"]:
                raise ValueError("no")
            left = context.get_remaining_time_in_millis()
            told = [event["requestContext"]["http"]["method"], event["rawPath"], event["rawQueryString"],
                event.get("body", ""), str(0 < left <= 30000 and context.function_name == "py"), str(count)]
            return {"statusCode": 201, "body": " ".join(told)}
        """#

    /// Lines that put the interpreter, the client and a handler into an image.
    static var script: String? {
        folders.map { base, packages in
            """
            mkdir -p tree/usr/lib tree/usr/bin tree/var/task
            version=$(\(base)/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
            cp -L \(base)/bin/$version tree/usr/bin/python3
            tar -C \(base)/lib --exclude=site-packages --exclude=test --exclude=__pycache__ --exclude=config-* \
                --exclude=idlelib --exclude=tkinter --exclude=ensurepip -cf - $version | tar -C tree/usr/lib -xf -
            names=$(cd \(packages) && ls -d awslambdaric simplejson snapshot_restore_py* runtime_client*.so)
            tar -C \(packages) --exclude=__pycache__ -cf - $names | tar -C tree/var/task -xf -
            for file in tree/usr/bin/python3 $(find tree/usr/lib tree/var/task -name '*.so'); do
                for library in $(ldd $file 2>/dev/null | grep -o '/[^ )]*' | grep -v "^$PWD"); do
                    mkdir -p tree$(dirname $library)
                    cp -L -n $library tree$library
                done
            done
            cat >tree/var/task/handler.py <<'END'
            \(handler)
            END
            """
        }
    }
}
