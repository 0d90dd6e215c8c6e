internal import Linux

/// What the processes of a control group wait for, for people: which are left, in which state, and where in the kernel
/// (proc(5), "stat" and "wchan").
enum WaitChannel {
    /// A sentence's part; nil where nothing can be said.
    static func describe(controlGroup: String, root: String = "/") -> String? {
        guard controlGroup.hasPrefix("/"),
            let text = try? Files.readText(root + "sys/fs/cgroup" + controlGroup + "/cgroup.procs")
        else { return nil }
        let processes = text.split(separator: "\n").compactMap { Int32($0) }
        guard let first = processes.first(where: { state($0, root)?.letter == "D" }) ?? processes.first,
            let found = state(first, root)
        else { return processes.isEmpty ? nil : "\(processes.count) processes" }
        let place = (try? Files.readText(root + "proc/\(first)/wchan", limitBytes: 256)) ?? ""
        let others = processes.count > 1 ? " and \(processes.count - 1) others" : ""
        let where_ = place.isEmpty || place == "0" ? "" : " in \(Text.clean(place))"
        return "process \(first) '\(found.name)' in state \(found.letter)\(where_)\(others)"
    }

    private static func state(_ process: Int32, _ root: String) -> (name: String, letter: String)? {
        guard let text = try? Files.readText(root + "proc/\(process)/stat", limitBytes: 4096),
            let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close,
            let letter = text[text.index(after: close)...].split(separator: " ").first
        else { return nil }
        return (Text.clean(text[text.index(after: open)..<close], limit: 32), String(letter))
    }
}
