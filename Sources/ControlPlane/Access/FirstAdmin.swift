import Contract
import Store

/// The user that a new server begins with.
enum FirstAdmin {
    static let name = "admin"

    /// Makes the user where there never was one, and returns the password, which is shown this once.
    static func make(core: Core, keeper: PasswordKeeper) async throws -> String? {
        guard try await core.store.read({ try $0.setting(setting) }) == nil else { return nil }
        let password = try Secrets.word(characters: 24)
        let kept = try await keeper.make(password)
        let (trail, core) = (AuditTrail.ofServer, core)
        return try await AuditTrail.$current.withValue(trail) {
            try await core.change { transaction, announcements in
                try transaction.setSetting(setting, to: "made")
                guard try transaction.users().isEmpty else { return nil }
                try transaction.save(
                    UserRecord(
                        name: name, password: kept, grants: [RoleGrant(role: "admin")], createdSeconds: core.now()))
                announcements.say("user '\(name)' was made at the first start, with the role admin")
                return password
            }
        }
    }

    private static let setting = "first-admin"
}
