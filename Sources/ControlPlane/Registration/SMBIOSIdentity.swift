import Contract

/// What a machine's SMBIOS strings are worth as an identity (DMTF DSP0134, section 7.2).
///
/// It is claimed, never proven, and many boards ship with placeholders: it can make a registration wait, but it never
/// makes two machines one.
enum SMBIOSIdentity {
    /// UUID and serial number as one comparable text, or nil where either is empty or junk.
    static func text(_ smbios: Inventory.SMBIOS) -> String? {
        let uuid = smbios.uuid.lowercased()
        let serial = trimmed(smbios.serial)
        guard isUsable(uuid: uuid), isUsable(serial: serial) else { return nil }
        return uuid + "|" + serial
    }

    /// Why an identity is not usable, as the end of a sentence; nil where it is.
    static func problem(_ smbios: Inventory.SMBIOS) -> String? {
        if smbios.uuid.isEmpty { return "its firmware gives no UUID" }
        if !isUsable(uuid: smbios.uuid.lowercased()) { return "its firmware's UUID is a placeholder" }
        let serial = trimmed(smbios.serial)
        if serial.isEmpty { return "its firmware gives no serial number" }
        if !isUsable(serial: serial) { return "its firmware's serial number is a placeholder" }
        return nil
    }

    /// A serial number without spaces around it, and with single ones within.
    static func trimmed(_ text: String) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        return words.joined(separator: " ")
    }

    private static func isUsable(uuid: String) -> Bool {
        let digits = uuid.filter { $0 != "-" }
        guard uuid.utf8.count == 36, digits.utf8.count == 32, digits.allSatisfy(\.isHexDigit) else { return false }
        // All equal digits are the specification's "not set" values and the commonest placeholders.
        guard Set(digits).count > 2 else { return false }
        return uuid != "03000200-0400-0500-0006-000700080009" && uuid != "00020003-0004-0005-0006-000700080009"
            && uuid != "12345678-1234-5678-90ab-cddeefaabbcc"
    }

    private static func isUsable(serial: String) -> Bool {
        let word = serial.lowercased()
        guard word.count >= 2, Set(word.filter { $0 != " " && $0 != "-" && $0 != "." }).count > 1 else { return false }
        return !placeholders.contains(word) && !word.hasPrefix("to be filled")
    }

    private static let placeholders: Set<String> = [
        "not specified", "not available", "not applicable", "n/a", "none", "default", "default string", "unknown",
        "system serial number", "serial number", "chassis serial number", "0123456789", "123456789", "1234567890",
        "empty", "invalid", "oem", "o.e.m.", "null", "xxxxxxxxxx", "sernum0",
    ]
}
