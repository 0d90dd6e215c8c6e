/// A function that is a zip on a base image, as Lambda runs it on its `provided` runtimes (Lambda developer guide,
/// "OS-only runtimes").
enum FunctionPackage {
    /// Where the zip's files are: `LAMBDA_TASK_ROOT`.
    static let directory = "/var/task"

    /// What starts, and where: the zip's `bootstrap`, whatever the base image would start. Its variables and its user
    /// are the base image's.
    static func defaults(_ base: ImageDefaults) -> ImageDefaults {
        var defaults = base
        defaults.entrypoint = [directory + "/bootstrap"]
        defaults.command = []
        defaults.workingDirectory = directory
        return defaults
    }

    /// The zip's files, which nobody can write.
    static func mount(_ input: SandboxInput) -> SandboxMount {
        SandboxMount(directory, type: "bind", source: input.paths.task, ["bind", "ro", "nosuid", "nodev"])
    }
}

extension Revision {
    /// Whether it is a function's zip.
    public var isZip: Bool { function?.baseImage != nil }

    /// What single fields of a function's package cannot show.
    func checkPackage(_ add: (String, String?, String) -> Void) {
        guard kind == .function else { return }
        guard let base = function?.baseImage else {
            guard image.isAddress else { return }
            return add(
                "function.base_image", nil,
                "is missing; the zip at the address that 'image' names runs on an image, such as "
                    + "public.ecr.aws/lambda/provided:al2023")
        }
        if base.isAddress {
            add(
                "function.base_image", base.description,
                "is an address; allowed is an image in a registry, and 'image' names the zip")
        }
        let own = FunctionPackage.directory
        for (field, targets) in [("volumes", volumes.map(\.target)), ("secrets", secrets.map(\.target))] {
            for target in targets where target == own || target.hasPrefix(own + "/") {
                add(field, target, "lies in \(own), where the zip is; allowed is a target elsewhere")
            }
        }
    }
}
