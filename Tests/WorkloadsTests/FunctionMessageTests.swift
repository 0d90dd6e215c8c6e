import Contract
import Testing

@testable import Workloads

/// Events and responses as the developer guide's examples have them.
@Suite struct FunctionMessages {
    static func request(
        _ method: String = "POST", query: String = "", fields: [HTTPField] = [], body: [UInt8] = []
    ) -> FunctionEvent.Request {
        FunctionEvent.Request(
            method: method, path: "/my/path", query: query, fields: fields, body: body,
            sourceAddress: "123.123.123.123", function: "web", id: "id-1", timeMilliseconds: 1_583_348_638_390)
    }

    static func event(_ request: FunctionEvent.Request) throws -> DocumentValue {
        try DocumentValue(parsing: FunctionEvent.http(request), limit: FunctionLimit.payload)
    }

    /// The example of "Invoking Lambda function URLs", without what belongs to AWS's accounts.
    @Test func aRequestBecomesTheDocumentedEvent() throws {
        let event = try Self.event(
            Self.request(
                query: "parameter1=value1&parameter1=value2&parameter2=value",
                fields: [
                    HTTPField("Header1", "value1"), HTTPField("Header2", "value1"), HTTPField("header2", "value2"),
                    HTTPField("Cookie", "cookie1; cookie2"), HTTPField("Host", "name.example.org:9900"),
                    HTTPField("User-Agent", "agent"), HTTPField("Content-Type", "text/plain"),
                ], body: Array("Hello from client!".utf8)))
        #expect(event["version"] == .string("2.0") && event["routeKey"] == .string("$default"))
        #expect(event["rawPath"] == .string("/my/path"))
        #expect(event["rawQueryString"] == .string("parameter1=value1&parameter1=value2&parameter2=value"))
        #expect(event["cookies"] == .array([.string("cookie1"), .string("cookie2")]))
        #expect(event["headers"]?["header1"] == .string("value1"))
        #expect(event["headers"]?["header2"] == .string("value1,value2"))
        #expect(event["headers"]?["cookie"] == nil)
        #expect(event["queryStringParameters"]?["parameter1"] == .string("value1,value2"))
        #expect(event["queryStringParameters"]?["parameter2"] == .string("value"))
        #expect(event["body"] == .string("Hello from client!") && event["isBase64Encoded"] == .bool(false))
        let context = event["requestContext"]
        #expect(context?["accountId"] == .string("anonymous") && context?["apiId"] == .string("web"))
        #expect(context?["domainName"] == .string("name.example.org") && context?["domainPrefix"] == .string("name"))
        #expect(context?["http"]?["method"] == .string("POST") && context?["http"]?["protocol"] == .string("HTTP/1.1"))
        #expect(context?["http"]?["sourceIp"] == .string("123.123.123.123"))
        #expect(context?["http"]?["userAgent"] == .string("agent") && context?["stage"] == .string("$default"))
        #expect(context?["time"] == .string("04/Mar/2020:19:03:58 +0000"))
        #expect(context?["timeEpoch"] == .integer(1_583_348_638_390) && context?["requestId"] == .string("id-1"))
    }

    @Test func aBodyThatIsNoTextIsBase64() throws {
        let type = HTTPField("content-type", "application/json; charset=utf-8")
        #expect(try Self.event(Self.request(fields: [type], body: [0x7B, 0x7D]))["body"] == .string("{}"))
        for fields in [[], [HTTPField("content-type", "image/png")], [type, HTTPField("content-encoding", "gzip")]] {
            let event = try Self.event(Self.request(fields: fields, body: [0x7B, 0x7D]))
            #expect(event["body"] == .string("e30=") && event["isBase64Encoded"] == .bool(true))
        }
        let broken = try Self.event(Self.request(fields: [type], body: [0xFF]))
        #expect(broken["body"] == .string("/w==") && broken["isBase64Encoded"] == .bool(true))
        let none = try Self.event(Self.request("GET"))
        #expect(none["body"] == nil && none["cookies"] == nil && none["queryStringParameters"] == nil)
    }

    @Test func aQueryLosesItsEscapes() {
        #expect(
            FunctionEvent.parameters("a=b%20c+d&e&=f&g=%zz%+1&&a=%C3%A4")
                == ["a": "b c d,\u{e4}", "e": "", "": "f", "g": "%zz% 1"])
    }

    @Test func eventsOfScheduleAndNodeHaveTheFormOfEventBridge() throws {
        let tick = try DocumentValue(
            parsing: FunctionEvent.schedule("@hourly", function: "web", id: "i", timeSeconds: 1_445_400_000))
        #expect(tick["time"] == .string("2015-10-21T04:00:00Z") && tick["source"] == .string("aws.events"))
        #expect(tick["detail-type"] == .string("Scheduled Event") && tick["detail"] == .object([:]))
        let told = try DocumentValue(parsing: FunctionEvent.node("boot", "it's up", id: "i", timeSeconds: 0))
        #expect(told["detail"]?["message"] == .string("it's up") && told["detail-type"] == .string("boot"))
        #expect(told["time"] == .string("1970-01-01T00:00:00Z"))
    }

    static func response(_ text: String) throws -> (status: Int, fields: [String: String], body: String) {
        let response = try FunctionResponse(returned: Array(text.utf8))
        return (
            response.status, Dictionary(response.fields.map { ($0.name, $0.value) }) { "\($0)|\($1)" },
            String(decoding: response.body, as: UTF8.self)
        )
    }

    /// The tables of "Response payload format".
    @Test func whatAFunctionReturnsIsInferredAsDocumented() throws {
        let json = ["content-type": "application/json"]
        let text = try Self.response(#""Hello, world!""#)
        #expect(text.status == 200 && text.fields == json && text.body == "Hello, world!")
        let object = try Self.response(#"{"message": "Hello, world!"}"#)
        #expect(object.status == 200 && object.fields == json && object.body == #"{"message": "Hello, world!"}"#)
        let list = try Self.response("[1, 2.5e3]")
        #expect(list.fields == json && list.body == "[1, 2.5e3]")
        let whole = try Self.response(
            #"{"statusCode": 201, "headers": {"Content-Type": "application/json", "My-Custom-Header": "Custom Value", "n": 7},"#
                + #" "body": "{ \"message\": \"Hello, world!\" }", "cookies": ["Cookie_1=Value1; Expires=21 Oct 2021 07:48 GMT","#
                + #" "Cookie_2=Value2; Max-Age=78000"], "isBase64Encoded": false}"#)
        #expect(whole.status == 201 && whole.body == #"{ "message": "Hello, world!" }"#)
        #expect(whole.fields["my-custom-header"] == "Custom Value" && whole.fields["n"] == "7")
        #expect(
            whole.fields["set-cookie"]
                == "Cookie_1=Value1; Expires=21 Oct 2021 07:48 GMT|Cookie_2=Value2; Max-Age=78000")
        let coded = try Self.response(#"{"statusCode": "200", "body": "aGk=", "isBase64Encoded": true}"#)
        #expect(coded.body == "hi" && coded.fields == json)
        let deep = String(repeating: "[", count: 100_000)
        #expect(try Self.response(deep).body == deep)
        #expect(try Self.response(#"{"a": "]]}[[\\\"[[", "b": [{}]}"#).fields == json)
        let plain = try Self.response("Echoing request: 'x'")
        #expect(plain.fields == ["content-type": "text/plain; charset=utf-8"] && plain.body == "Echoing request: 'x'")
    }

    @Test(arguments: [
        #"{"statusCode": 99}"#, #"{"statusCode": 600}"#, #"{"statusCode": "x"}"#, #"{"statusCode": 200, "body": {}}"#,
        #"{"statusCode": 200, "headers": {"a b": "c"}}"#, #"{"statusCode": 200, "headers": {"a": "b\r\nc: d"}}"#,
        #"{"statusCode": 200, "body": "%", "isBase64Encoded": true}"#, #"{"statusCode": 200, "headers": {"a": []}}"#,
        #"{"statusCode": 200, "cookies": ["a\u0000"]}"#, #"{"statusCode": null, "cookies": 1}"#,
    ])
    func aResponseThatCannotBeSentIsRefused(_ text: String) {
        #expect(throws: FunctionResponse.Refusal.self) { try FunctionResponse(returned: Array(text.utf8)) }
    }

    /// The prelude may be cut anywhere.
    @Test func aStreamBeginsWithItsStatusHoweverItIsCut() throws {
        let whole =
            Array(#"{"statusCode": 206, "headers": {"x": "y"}, "cookies": ["a=b"]}"#.utf8)
            + [UInt8](repeating: 0, count: 8) + Array("body\u{0}".utf8)
        for size in 1...whole.count {
            var stream = FunctionStream(contentType: FunctionStream.preludeType)
            var heads: [FunctionResponse] = []
            var body: [UInt8] = []
            for start in stride(from: 0, to: whole.count, by: size) {
                let (head, bytes) = try stream.receive(Array(whole[start..<min(whole.count, start + size)]))
                if let head { heads.append(head) }
                body += bytes
            }
            #expect(heads.count == 1 && heads.first?.status == 206 && body == Array("body\u{0}".utf8))
            #expect(heads.first?.fields.contains(HTTPField("set-cookie", "a=b")) == true)
            #expect(try stream.end() == nil)
        }
        var plain = FunctionStream(contentType: "text/event-stream")
        #expect(try plain.receive([1]).0?.fields == [HTTPField("content-type", "text/event-stream")])
        var empty = FunctionStream(contentType: nil)
        #expect(try empty.end()?.status == 200)
        var cut = FunctionStream(contentType: FunctionStream.preludeType)
        _ = try cut.receive(Array("{}".utf8))
        #expect(throws: FunctionResponse.Refusal.self) { try cut.end() }
        var endless = FunctionStream(contentType: FunctionStream.preludeType)
        #expect(throws: FunctionResponse.Refusal.self) {
            for _ in 0..<100 { _ = try endless.receive([UInt8](repeating: 0x20, count: 1024)) }
        }
    }

    @Test func theRuntimeApiAnswersWithLambdasOwnHeadersAndErrors() throws {
        let call = RuntimeReply.Invocation(
            id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", deadlineMilliseconds: 1_542_409_706_888, function: "web",
            trace: RuntimeReply.trace(seconds: 0x5BEF_4DE7, random: [UInt8](repeating: 0xAB, count: 12)))
        let text = String(
            decoding: RuntimeReply.invocation(call, event: Array("{}".utf8), keepsAlive: true), as: UTF8.self)
        for line in [
            "HTTP/1.1 200 OK", "lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "lambda-runtime-deadline-ms: 1542409706888",
            "lambda-runtime-invoked-function-arn: arn:aws:lambda:local:000000000000:function:web",
            "lambda-runtime-trace-id: Root=1-5bef4de7-abababababababababababab;Sampled=0", "content-length: 2",
        ] { #expect(text.contains(line + "\r\n"), "\(line)") }
        #expect(text.hasSuffix("\r\n\r\n{}"))
        let accepted = String(decoding: RuntimeReply.accepted(keepsAlive: true), as: UTF8.self)
        #expect(accepted.hasPrefix("HTTP/1.1 202 ") && accepted.hasSuffix(#"{"status":"OK"}"#))
        let unknown = String(
            decoding: RuntimeReply.refusal(.unknownID, keepsAlive: true), as: UTF8.self)
        #expect(unknown.hasPrefix("HTTP/1.1 400 "))
        #expect(unknown.hasSuffix(#"{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#))
        #expect(String(decoding: RuntimeReply.tooLarge(6_291_556), as: UTF8.self).contains("RequestEntityTooLarge"))
    }

    @Test func theTypeOfAnErrorIsTheHeadersOrTheBodys() {
        let body = Array(#"{"errorMessage": "x", "errorType": "Value\nError", "stackTrace": []}"#.utf8)
        #expect(FunctionError.type(header: "My.Error", body: body) == "My.Error")
        #expect(FunctionError.type(header: "Unhandled", body: body) == "ValueError")
        #expect(FunctionError.type(header: "", body: Array("no JSON".utf8)).isEmpty)
    }

    @Test func callersAreToldWhyThereIsNoAnswer() {
        let shown: [(FunctionFailure, Int, String)] = [
            (.unknown, 404, "no function"), (.throttled("all busy"), 429, "retry-after"),
            (.unavailable("no memory"), 503, "no memory"), (.ended(.failed(type: "My.Error")), 502, "My.Error"),
            (.ended(.ended(type: "Sandbox.Timedout", message: "timed out")), 504, "timed out"),
            (.ended(.ended(type: "Runtime.ExitError", message: "gone")), 502, "Runtime.ExitError"),
            (.ended(FunctionPool.shutDown("i")), 503, "Sandbox.Shutdown"), (.unsendable("no Base64"), 502, "no Base64"),
            (.refused(HTTPRefusal(413, "too long")), 413, "too long"),
        ]
        for (failure, status, word) in shown {
            let text = String(decoding: failure.reply(id: "call-1", keepsAlive: true), as: UTF8.self)
            #expect(failure.status == status && text.hasPrefix("HTTP/1.1 \(status) ") && text.contains(word))
            #expect(text.contains("call-1"))
        }
    }

    @Test func anInstanceHasTheVariablesOfTheInterfaceAndNobodyChangesThem() throws {
        let digest = String(repeating: "ab", count: 32)
        let workload = try Workload(
            parsing: Array(
                #"{"name": "web", "kind": "function", "image": "r.example/a@sha256:\#(digest)", "mem_limit": "128m","#
                    .utf8)
                + Array(
                    #""environment": {"_HANDLER": "evil", "MINE": "1", "TZ": "UTC"}, "function": {"handler": "a.b"}}"#
                        .utf8))
        var input = try Fixture.input()
        input.workload = workload
        input.image.environment = ["AWS_LAMBDA_RUNTIME_API=evil", "FROM=image", "LANG=C"]
        input.instance = "x-1"
        let lines = Set(FunctionEnvironment.lines(input))
        let expected: Set<String> = [
            "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001", "LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime",
            "_HANDLER=a.b", "AWS_LAMBDA_FUNCTION_NAME=web", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/web",
            "AWS_LAMBDA_LOG_STREAM_NAME=x-1", "MINE=1", "TZ=UTC", "FROM=image", "LANG=C",
        ]
        #expect(lines.isSuperset(of: expected), "\(lines)")
        #expect(RuntimeConfig(input).environment.sorted() == lines.sorted())
        let unit = SystemdUnit(input)
        #expect(unit.name.hasSuffix("_x-1.service"))
        #expect(unit.properties.contains(UnitProperty("Restart", "no")))
        #expect(unit.properties.contains(UnitProperty("KillSignal", "SIGKILL")))
        #expect(SandboxMount.all(input).contains { $0.destination == "/tmp" && $0.options.contains("size=67108864") })
    }

    @Test func aStoppedFunctionTakesNoMoreCallsAndTellsThoseItEnds() {
        var pool = FunctionPools.pool(concurrency: 1, queue: 2)
        _ = pool.call("a", 0)
        _ = pool.requested(1, .next, 1)
        _ = pool.call("b", 2)
        #expect(pool.retire() == [])
        #expect(pool.call("c", 3) == [.complete("c", FunctionPool.shutDown("c"))])
        _ = pool.requested(1, .response(id: "a", isStreaming: false), 4)
        // What waited when it was stopped is still served; then nothing is left.
        #expect(
            pool.requested(1, .next, 5).actions.contains(.instance(1, .deliver(FunctionPools.call("b", at: 5)))))
        _ = pool.requested(1, .response(id: "b", isStreaming: false), 6)
        #expect(pool.requested(1, .next, 7).actions == [.instance(1, .freeze), .instance(1, .kill)])
        #expect(pool.isEmpty)
        var busy = FunctionPools.pool(concurrency: 1, queue: 2)
        _ = busy.call("a", 0)
        _ = busy.call("b", 0)
        #expect(
            busy.endAll() == [
                .instance(1, .kill), .instance(1, .complete("a", FunctionPool.shutDown("a"))),
                .complete("b", FunctionPool.shutDown("b")),
            ])
        #expect(busy.isEmpty)
    }
}
