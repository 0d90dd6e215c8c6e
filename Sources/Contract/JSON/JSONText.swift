extension [UInt8] {
    /// Appends a string of JSON with its quotation marks: only `"` and `\` are escaped, and control characters unless
    /// the form does without (OLPC canonical JSON).
    public mutating func appendJSON(_ text: String, escapesControls: Bool = true) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): self += [UInt8(ascii: "\\"), byte]
            case 0..<0x20 where escapesControls: self += "\\u00".utf8 + Array([byte].lowercaseHex.utf8)
            default: append(byte)
            }
        }
        append(UInt8(ascii: "\""))
    }
}
