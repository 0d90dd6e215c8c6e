/// Environment variables of a function's instance (Lambda developer guide, "Defined runtime environment variables").
enum FunctionEnvironment {
    /// Those that no document and no image changes.
    static func reserved(_ workload: Workload, instance: String) -> [String: String] {
        let settings = workload.revision.function ?? FunctionSettings()
        let name = workload.name.rawValue
        return [
            "AWS_LAMBDA_RUNTIME_API": "\(RuntimeReply.address):\(RuntimeReply.port)",
            "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "_HANDLER": settings.handler,
            "AWS_LAMBDA_FUNCTION_NAME": name, "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "\(max(1, workload.revision.resources.memoryBytes >> 20))",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/\(name)",
            "AWS_LAMBDA_LOG_STREAM_NAME": instance.isEmpty ? name : instance,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        ]
    }

    /// Those that are there unless the document or the image says otherwise.
    static let usual = [
        "LANG": "en_US.UTF-8", "TZ": ":UTC", "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LD_LIBRARY_PATH":
            "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    ]

    /// The lines of an instance.
    static func lines(_ input: SandboxInput) -> [String] {
        var values: [String: String] = usual
        for line in input.image.environment {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[0].isEmpty { values[String(parts[0])] = String(parts[1]) }
        }
        values.merge(input.workload.revision.environment) { _, given in given }
        values.merge(reserved(input.workload, instance: input.instance ?? "")) { _, own in own }
        return values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
}
