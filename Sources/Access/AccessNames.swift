/// What users and roles may be called.
public enum AccessName {
    /// Why a text is no name, as a sentence; nil where it is one.
    public static func problem(_ text: String) -> String? {
        let isName =
            (1...63).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-._@".utf8.contains($0)
            }
            && !"-._@".contains(text.first ?? "-")
        return isName
            ? nil
            : "a name has 1 to 63 characters of a-z, 0-9, '-', '.', '_' and '@', and begins with a letter or digit"
    }
}

/// What passwords must be: long; nothing is said of their characters (NIST SP 800-63B, section 5.1.1.2).
public enum PasswordRule {
    /// How many bytes a password has.
    public static let bytes = 12...1024

    /// Why a password is not acceptable for a user, as a sentence; nil where it is.
    public static func problem(_ password: String, user: String) -> String? {
        guard bytes.contains(password.utf8.count) else {
            return "a password has \(bytes.lowerBound) to \(bytes.upperBound) bytes; a few words that do not belong "
                + "together are a good one"
        }
        guard Set(password).count >= 5, password.lowercased() != user.lowercased() else {
            return "this password is too easy to guess; take a few words that do not belong together"
        }
        return nil
    }
}

/// When wrong passwords make an account wait: after five in a row one minute, twice as long after each further one, an
/// hour at most.
public enum LockOut {
    /// Wrong passwords in a row without a wait.
    public static let freeAttempts = 5

    /// How long to wait after so many wrong passwords in a row, in seconds; 0 for not at all.
    public static func waitSeconds(afterFailures count: Int) -> Int64 {
        guard count >= freeAttempts else { return 0 }
        return min(3600, 60 << Int64(min(count - freeAttempts, 6)))
    }
}
