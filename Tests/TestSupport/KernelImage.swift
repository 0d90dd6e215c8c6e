/// A PE file with sections, as ukify would make one, and with nothing that runs.
public func kernelImage(machine: UInt16 = 0x8664, _ sections: [(String, [UInt8])]) -> [UInt8] {
    func little(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
    var bytes = Array("MZ".utf8) + [UInt8](repeating: 0, count: 58) + little(UInt32(64))
    bytes += Array("PE\0\0".utf8) + little(machine) + little(UInt16(sections.count))
    bytes += [UInt8](repeating: 0, count: 12) + little(UInt16(0)) + little(UInt16(0x22e))
    var data: [UInt8] = []
    let start = (bytes.count + sections.count * 40 + 511) / 512 * 512
    for (name, content) in sections {
        let raw = (content.count + 511) / 512 * 512
        bytes += Array(name.utf8) + [UInt8](repeating: 0, count: 8 - name.utf8.count)
        bytes += little(UInt32(content.count)) + little(UInt32(0x1000)) + little(UInt32(raw))
        bytes += little(UInt32(start + data.count)) + [UInt8](repeating: 0, count: 16)
        data += content + [UInt8](repeating: 0, count: raw - content.count)
    }
    return bytes + [UInt8](repeating: 0, count: start - bytes.count) + data
}
