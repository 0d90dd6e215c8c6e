/// Terminals as the kernel lists them.
public enum Terminals {
    /// A serial port that hardware stands behind.
    public struct SerialPort: Sendable, Equatable {
        /// The terminal's name, such as `ttyS0`.
        public var name: String
        /// Its I/O port, 0 where it is in memory.
        public var port: UInt64
        /// Its memory address, 0 where it is an I/O port.
        public var memory: UInt64
    }

    /// The terminals that kernel messages go to, the one that `/dev/console` means last.
    public static func active(root: String = "/") -> [String] {
        let text = (try? Files.readText(root + "sys/class/tty/console/active", limitBytes: 4096)) ?? ""
        return text.split(separator: " ").map { Text.clean($0, limit: 32) }
    }

    /// The serial ports `ttyS*` with their addresses, to be compared with those that the firmware's table SPCR names.
    public static func serialPorts(root: String = "/") -> [SerialPort] {
        let folder = root + "sys/class/tty/"
        return ((try? Files.list(folder)) ?? []).filter { $0.hasPrefix("ttyS") }.compactMap { name in
            let port = number(folder + name + "/port")
            let memory = number(folder + name + "/iomem_base")
            return port == 0 && memory == 0 ? nil : SerialPort(name: name, port: port, memory: memory)
        }
    }

    private static func number(_ path: String) -> UInt64 {
        guard let text = try? Files.readText(path, limitBytes: 64) else { return 0 }
        return text.hasPrefix("0x") || text.hasPrefix("0X")
            ? UInt64(text.dropFirst(2), radix: 16) ?? 0 : UInt64(text) ?? 0
    }
}
