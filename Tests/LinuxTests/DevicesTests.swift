import CLinux
import Glibc
import TestSupport
import Testing

@testable import Linux

@Test func aKernelMessageIsParsedAndAnyOtherRefused() {
    let message = "add@/devices/x\u{0}ACTION=add\u{0}DEVPATH=/devices/x\u{0}SUBSYSTEM=block\u{0}SEQNUM=7\u{0}"
    let event = Uevent(message: Array(message.utf8))
    #expect(event?.action == "add")
    #expect(event?.path == "/devices/x")
    #expect(event?.subsystem == "block")
    #expect(event?.fields["SEQNUM"] == "7")
    #expect(Uevent(message: Array("libudev\u{0}\u{fe}".utf8)) == nil)
    #expect(Uevent(message: []) == nil)
    // The head and the fields disagree.
    #expect(Uevent(message: Array("add@/devices/x\u{0}ACTION=remove\u{0}DEVPATH=/devices/x\u{0}".utf8)) == nil)
}

@Test func messagesOfOthersAreDropped() throws {
    let listener = try UeventSocket()
    // An ordinary program sends straight to the listener's address.
    let fd = socket(AF_NETLINK, Int32(SOCK_DGRAM.rawValue), 15)
    try #require(fd >= 0)
    defer { close(fd) }
    // `struct sockaddr_nl` is not visible: family, padding, port, groups.
    var address = [UInt8](repeating: 0, count: 12)
    var size = socklen_t(address.count)
    address.withUnsafeMutableBytes { bytes in
        _ = getsockname(listener.descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size)
    }
    address.replaceSubrange(8..<12, with: [0, 0, 0, 0])
    let message = Array("add@/devices/evil\u{0}ACTION=add\u{0}DEVPATH=/devices/evil\u{0}".utf8)
    let sent = address.withUnsafeBytes { bytes in
        sendto(fd, message, message.count, 0, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), size)
    }
    #expect(sent == message.count)
    while let signal = try listener.next(timeoutMilliseconds: 0) {
        guard case .event(let event) = signal else { continue }
        #expect(event.path != "/devices/evil")
    }
}

@Test(.enabled(if: getuid() == 0 && Files.exists("/sys/class/mem/null/uevent"), "asking for a device event needs root"))
func theKernelsOwnMessagesArrive() throws {
    let listener = try UeventSocket()
    // The kernel repeats the event of a device that is asked for it.
    guard (try? Files.overwrite("/sys/class/mem/null/uevent", with: "change")) != nil else { return }
    let deadline = Clock.monotonicMilliseconds() + 30_000
    while Clock.monotonicMilliseconds() < deadline {
        guard case .event(let event)? = try listener.next(timeoutMilliseconds: 1000) else {
            // A namespace of its own gets no events of the machine's devices.
            return
        }
        if event.path.hasSuffix("/mem/null") {
            #expect(event.action == "change")
            return
        }
    }
    Issue.record("no event came")
}

@Test func modulesAreFoundByAliasWithTheirNames() throws {
    let scratch = try Scratch()
    let folder = scratch.path + "/lib/modules/6.0-test"
    try Files.makeDirectory(folder)
    for (name, lines) in [
        ("alpha", ["alias=pci:v00001AF4d00001000sv*sd*bc*sc*i*", "depends=beta", "name=alpha"]),
        ("beta", ["depends=", "name=beta"]),
    ] {
        let source = ".section .modinfo,\"a\"\n" + lines.map { ".asciz \"\($0)\"\n" }.joined()
        try scratch.file(name + ".s", source)
        try run("/usr/bin/cc", ["-c", scratch.path + "/\(name).s", "-o", folder + "/\(name).ko"])
    }
    // Without these depmod makes empty indexes.
    for (name, text) in [("order", ""), ("builtin", ""), ("builtin.modinfo", "kernel.license=GPL\0")] {
        try scratch.file("lib/modules/6.0-test/modules." + name, text)
    }
    try run("/usr/sbin/depmod", ["-b", scratch.path, "6.0-test"])
    #expect(throws: SystemError.self) { try ModuleLoader(directory: scratch.path + "/nowhere") }
    let loader = try ModuleLoader(directory: folder, root: scratch.path + "/")
    #expect(try loader.names(for: "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00") == ["alpha"])
    #expect(try loader.names(for: "beta") == ["beta"])
    #expect(try loader.names(for: "usb:nothing") == [])
    #expect(try loader.load("usb:nothing") == ModuleLoader.Report())
    let error = #expect(throws: SystemError.self) { try loader.require("dm_verity") }
    #expect(error?.description.contains("dm_verity") == true)
    // A device that needs alpha: it cannot be loaded here, and the report says so once.
    try scratch.file("sys/bus/pci/devices/0000:00:02.0/modalias", "pci:v00001AF4d00001000sv1sd1bc02sc00i00\n")
    let first = try loader.loadForDevices()
    #expect(first.loaded == [])
    #expect(first.failures.count == 1)
    #expect(first.failures.first?.contains("alpha") == true)
    #expect(try loader.loadForDevices() == ModuleLoader.Report())
}

@Test func aVerityTableIsWrittenAsTheKernelReadsIt() {
    let verity = DeviceMapper.Verity(
        name: "apus-root", dataDevice: "/dev/vda5", treeDevice: "/dev/vda6", blocks: 1000,
        rootHash: String(repeating: "ab", count: 32), salt: "00ff")
    let hash = verity.rootHash
    #expect(
        verity.parameters == "1 /dev/vda5 /dev/vda6 4096 4096 1000 1 sha256 \(hash) 00ff 1 panic_on_corruption")
    var quiet = verity
    quiet.salt = ""
    quiet.panicsOnCorruption = false
    #expect(quiet.parameters == "1 /dev/vda5 /dev/vda6 4096 4096 1000 1 sha256 \(hash) -")
}

@Test func anImpossibleVerityDeviceIsRefusedBeforeTheKernelIsAsked() {
    let good = DeviceMapper.Verity(
        name: "apus-root", dataDevice: "/dev/vda5", treeDevice: "/dev/vda6", blocks: 1000,
        rootHash: String(repeating: "ab", count: 32), salt: "00ff")
    for change: (inout DeviceMapper.Verity) -> Void in [
        { $0.name = "../x" }, { $0.dataDevice = "/dev/a b" }, { $0.rootHash = "abc" }, { $0.salt = "0" },
        { $0.salt = "zz" }, { $0.blocks = 0 }, { $0.rootHash = String(repeating: "AB", count: 32) },
    ] {
        var bad = good
        change(&bad)
        let error = #expect(throws: SystemError.self) { try DeviceMapper.create(bad) }
        #expect(error?.code == EINVAL)
    }
}

@Test func aMachineWithoutAWatchdogSaysSo() throws {
    let scratch = try Scratch()
    do {
        _ = try Watchdog.arm(timeoutSeconds: 60, deviceFolder: scratch.path)
        Issue.record("there is no watchdog")
    } catch {
        #expect(error.isNotFound)
        #expect(error.description.contains("watchdog0"))
    }
}

@Test func serialPortsAndConsolesAreRead() throws {
    let scratch = try Scratch()
    let tty = "sys/class/tty/"
    try scratch.file(tty + "console/active", "tty0 ttyS1\n")
    try scratch.file(tty + "ttyS0/port", "0x3F8\n")
    try scratch.file(tty + "ttyS1/port", "0x0\n")
    try scratch.file(tty + "ttyS1/iomem_base", "0xFE030000\n")
    try scratch.file(tty + "ttyS2/port", "0x0\n")
    #expect(Terminals.active(root: scratch.path + "/") == ["tty0", "ttyS1"])
    #expect(
        Terminals.serialPorts(root: scratch.path + "/") == [
            .init(name: "ttyS0", port: 0x3f8, memory: 0), .init(name: "ttyS1", port: 0, memory: 0xfe03_0000),
        ])
}

@Test func kernelMessagesAreParsed() {
    let record = KernelLog.Record(line: "6,339,5140900,-;NET: Registered\u{1b} family 10\n SUBSYSTEM=net\n")
    #expect(record?.level == 6)
    #expect(record?.sequence == 339)
    #expect(record?.microseconds == 5_140_900)
    #expect(record?.text == "NET: Registered family 10")
    // A facility stands in the upper bits.
    #expect(KernelLog.Record(line: "30,1,2,-;daemon")?.level == 6)
    #expect(KernelLog.Record(line: "nonsense") == nil)
}

@Test func theServiceManagerIsToldOverItsSocket() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/notify"
    let fd = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    try #require(fd >= 0)
    defer { close(fd) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    try #require(bound == 0)
    #expect(ServiceManager.notify("READY=1\nSTATUS=up", socket: path))
    var buffer = [UInt8](repeating: 0, count: 100)
    let got = recv(fd, &buffer, buffer.count, 0)
    #expect(String(decoding: buffer.prefix(max(0, got)), as: UTF8.self) == "READY=1\nSTATUS=up")
    #expect(!ServiceManager.notify("READY=1", socket: nil))
    #expect(!ServiceManager.notify("READY=1", socket: scratch.path + "/nobody"))
}

@Test func signalsArriveThroughTheirDescriptor() throws {
    let fd = apus_signalfd([SIGWINCH], 1)
    try #require(fd >= 0)
    defer { close(fd) }
    #expect(apus_signalfd_read(fd) == -EAGAIN)
    #expect(raise(SIGWINCH) == 0)
    #expect(apus_signalfd_read(fd) == SIGWINCH)
}
