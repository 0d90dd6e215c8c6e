import FoundationEssentials
import Glibc

/// Which accelerator virtual machines use: KVM only where a guest was seen to run with it.
enum Accelerator {
    /// Arguments' value for QEMU: `kvm`, or ``software``.
    ///
    /// That `/dev/kvm` exists proves nothing: there are machines on which guests hang. So a boot sector is run that
    /// ends QEMU with a code of its own, and only that code within ten seconds counts.
    static func choose(scratch: String) -> String {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else { return software }
        let path = scratch + "/kvm-probe.img"
        guard FileManager.default.createFile(atPath: path, contents: Data(probeSector)) else { return software }
        defer { unlink(path) }
        let command = [
            "timeout", "--signal=KILL", "10", "qemu-system-x86_64", "-accel", "kvm", "-machine", "q35", "-m", "32",
            "-nodefaults", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive",
            "if=ide,format=raw,file=\(path)",
        ]
        guard let result = try? ChildProcess.run(command) else { return software }
        return result.exitCode == probeExitCode ? "kvm" : software
    }

    /// Emulation with one thread for each virtual processor and 192 MiB of translated code.
    ///
    /// After a reset the firmware unpacks itself over memory whose code was translated before, and each stale
    /// translation is thrown away by itself: with QEMU's default of 1 GiB that takes minutes.
    static let software = "tcg,thread=multi,tb-size=192"

    /// `isa-debug-exit` turns the byte 0x2a into this exit code: twice the byte plus one.
    private static let probeExitCode: Int32 = 0x2a * 2 + 1

    /// A boot sector in 16-bit x86: `mov dx, 0xf4`, `mov al, 0x2a`, `out dx, al`, `hlt`, and the signature.
    private static let probeSector: [UInt8] = {
        var sector = [UInt8](repeating: 0, count: 512)
        let code: [UInt8] = [0xba, 0xf4, 0x00, 0xb0, 0x2a, 0xee, 0xf4, 0xeb, 0xfd]
        sector.replaceSubrange(0..<code.count, with: code)
        sector[510] = 0x55
        sector[511] = 0xaa
        return sector
    }()
}
