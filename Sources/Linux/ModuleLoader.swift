internal import CKmod
internal import Glibc

/// Kernel modules by the aliases that devices announce, over libkmod.
///
/// It remembers which aliases it has looked at, so that calling it again after new devices appeared is cheap.
public final class ModuleLoader {
    /// What a pass over the devices did.
    public struct Report: Sendable, Equatable {
        /// Modules that were loaded, in order, their dependencies not named.
        public var loaded: [String] = []
        /// Modules that could not be loaded, each with the reason as a sentence.
        public var failures: [String] = []
    }

    private let context: OpaquePointer
    private var seen: Set<String> = []
    private let sysfs: String

    /// Opens the module index.
    ///
    /// - Parameters:
    ///   - directory: where the modules of the running kernel are; by default `/lib/modules/$(uname -r)`.
    ///   - root: what `/sys` lies below.
    public init(directory: String? = nil, root: String = "/") throws(SystemError) {
        guard let context = kmod_new(directory, nil) else {
            throw SystemError("open the kernel modules in", directory ?? "/lib/modules", code: ENOMEM)
        }
        // It writes to standard error otherwise; every failure is returned as well.
        kmod_set_log_priority(context, 0)
        let folder = kmod_get_dirname(context).map { String(cString: $0) } ?? directory ?? "/lib/modules"
        guard Files.exists(folder + "/modules.dep.bin") else {
            kmod_unref(context)
            throw SystemError(
                "read the module index in", folder, code: ENOENT, detail: "the modules must be of the running kernel")
        }
        // Only makes look-ups faster. It fails where an index that nobody here asks for was left out.
        _ = kmod_load_resources(context)
        self.context = context
        sysfs = root + "sys"
    }

    deinit { kmod_unref(context) }

    /// The modules that an alias or a name stands for, without loading them.
    public func names(for alias: String) throws(SystemError) -> [String] {
        var found: [String] = []
        try forEachModule(of: alias) { module in
            if let name = kmod_module_get_name(module) { found.append(String(cString: name)) }
        }
        return found
    }

    /// Loads what an alias or a name stands for, with its dependencies. An alias that nothing stands for is fine.
    @discardableResult
    public func load(_ alias: String) throws(SystemError) -> Report {
        var report = Report()
        try forEachModule(of: alias) { module in
            let name = kmod_module_get_name(module).map { String(cString: $0) } ?? alias
            let state = kmod_module_get_initstate(module)
            if state == Int32(KMOD_MODULE_BUILTIN.rawValue) || state == Int32(KMOD_MODULE_LIVE.rawValue) { return }
            let flags = UInt32(KMOD_PROBE_APPLY_BLACKLIST.rawValue | KMOD_PROBE_IGNORE_COMMAND.rawValue)
            let result = kmod_module_probe_insert_module(module, flags, nil, nil, nil, nil)
            // A positive result says that the configuration forbids it.
            if result == 0 {
                report.loaded.append(name)
            } else if result < 0 && result != -EEXIST {
                report.failures.append(SystemError("load the module", name, code: result).description)
            }
        }
        return report
    }

    /// Loads a module that must be there, such as `dm_verity`; one that is built in is fine.
    public func require(_ name: String) throws(SystemError) {
        guard try !names(for: name).isEmpty else {
            throw SystemError("load the module", name, code: ENOENT, detail: "the module index does not know it")
        }
        if let failure = try load(name).failures.first {
            throw SystemError("load the module", name, code: EIO, detail: failure)
        }
    }

    /// Loads drivers for all devices that are there, again and again until no new device has appeared: a bus driver
    /// brings new devices.
    public func loadForDevices() throws(SystemError) -> Report {
        var report = Report()
        // A chain of buses is a few levels deep; the bound is against a device that changes its name for ever.
        for _ in 0..<32 {
            let new = aliases().subtracting(seen)
            if new.isEmpty { break }
            for alias in new.sorted() {
                seen.insert(alias)
                let part = try load(alias)
                report.loaded += part.loaded
                report.failures += part.failures
            }
        }
        return report
    }

    private func aliases() -> Set<String> {
        var found: Set<String> = []
        for bus in (try? Files.list(sysfs + "/bus")) ?? [] {
            for device in (try? Files.list("\(sysfs)/bus/\(bus)/devices")) ?? [] {
                let path = "\(sysfs)/bus/\(bus)/devices/\(device)/modalias"
                guard let alias = try? Files.readText(path, limitBytes: 4096), !alias.isEmpty else { continue }
                found.insert(alias)
            }
        }
        return found
    }

    private func forEachModule(of alias: String, _ body: (OpaquePointer) -> Void) throws(SystemError) {
        var list: OpaquePointer?
        let result = kmod_module_new_from_lookup(context, alias, &list)
        guard result >= 0 || result == -ENOENT else { throw SystemError("look up the module", alias, code: result) }
        defer { kmod_module_unref_list(list) }
        var entry = list
        while let current = entry {
            if let module = kmod_module_get_module(current) {
                body(module)
                kmod_module_unref(module)
            }
            entry = kmod_list_next(list, current)
        }
    }
}
