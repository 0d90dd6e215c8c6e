import CAttack
import Glibc

extension Attack {
    static let devices = [
        Attack(
            "mknod",
            [
                Attempt("character") { makeNode("/data/memory", type: 0o020_000, 1 << 8 | 1) },
                Attempt("block") { makeNode("/data/disk", type: 0o060_000, 254 << 8) },
                Attempt("in-dev") { makeNode("/dev/disk", type: 0o060_000, 254 << 8) },
            ]),
        Attack(
            "device-open",
            [
                Attempt("mem") { openAttempt("/dev/mem", O_RDONLY) },
                Attempt("port") { openAttempt("/dev/port", O_RDONLY) },
                Attempt("kmsg") { openAttempt("/dev/kmsg", O_RDONLY) },
                Attempt("kvm") { openAttempt("/dev/kvm", O_RDWR) },
                Attempt("fuse") { openAttempt("/dev/fuse", O_RDWR) },
                Attempt("loop-control") { openAttempt("/dev/loop-control", O_RDWR) },
                Attempt("mapper") { openAttempt("/dev/mapper/control", O_RDWR) },
                Attempt("virtio-disk") { openAttempt("/dev/vda", O_RDONLY) },
                Attempt("scsi-disk") { openAttempt("/dev/sda", O_RDONLY) },
            ]),
        Attack(
            "usb-device",
            [
                Attempt("node") { openAttempt("/dev/bus/usb/001/001", O_RDWR) },
                Attempt("made-node") { madeUSBNode() },
                Attempt("sysfs") { writeAttempt("/sys/bus/usb/drivers_probe", "none") },
            ]),
        Attack("terminal-input", [Attempt("tiocsti") { typeIn(0) }, Attempt("high-bits") { typeIn(1 << 32) }]),
    ]

    private static func makeNode(_ path: String, type: UInt64, _ device: UInt64) -> Said {
        let made = call("mknodat", currentDirectory, text(path), type | 0o600, device)
        guard made >= 0 else { return Said(made) }
        defer { unlink(path) }
        return .succeeded("'\(path)' was made")
    }

    /// The first USB bus, by a node of one's own: 189:0.
    private static func madeUSBNode() -> Said {
        let path = "/dev/usb-attack"
        let made = call("mknodat", currentDirectory, text(path), 0o020_600, 189 << 8)
        guard made >= 0 else { return Said(made) }
        defer { unlink(path) }
        return openAttempt(path, O_RDWR)
    }

    /// Types a character into a terminal of one's own, which a shell on the other side would read as a person's.
    private static func typeIn(_ highBits: UInt64) -> Said {
        let terminal = opened("/dev/ptmx", O_RDWR | O_NOCTTY)
        guard terminal >= 0 else { return Said(terminal, "ptmx") }
        var unlocked: Int32 = 0
        guard attack_ioctl(Int32(terminal), attack_tiocsptlck, &unlocked) == 0 else { return Said("no-terminal") }
        var number: UInt32 = 0
        guard attack_ioctl(Int32(terminal), attack_tiocgptn, &number) == 0 else { return Said("no-terminal") }
        setsid()
        let other = opened("/dev/pts/\(number)", O_RDWR)
        guard other >= 0 else { return Said(other, "pts") }
        _ = attack_ioctl(Int32(other), attack_tiocsctty, nil)
        var character: CChar = 0x78
        return Said(Int64(attack_ioctl(Int32(other), attack_tiocsti | highBits, &character)))
    }
}
