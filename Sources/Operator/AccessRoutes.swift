public import Contract
import Fetch
import FoundationEssentials

extension OperatorClient {
    /// Signs in; only this reply has the token.
    public func login(_ request: LoginRequest) throws -> APITokenView {
        try post(APITokenView.self, "/v1/login", request)
    }

    /// Ends the token that this client shows.
    @discardableResult
    public func logout() throws -> Acknowledgement { try post(Acknowledgement.self, "/v1/logout", [String: String]()) }

    /// The caller, as the server sees them.
    public func whoAmI() throws -> WhoAmI { try get(WhoAmI.self, "/v1/whoami") }

    /// Changes the caller's own password.
    @discardableResult
    public func changePassword(_ request: PasswordRequest) throws -> Acknowledgement {
        try post(Acknowledgement.self, "/v1/password", request)
    }

    /// All users.
    public func users() throws -> [UserView] { try get(UserList.self, "/v1/users").users }

    /// Makes a user, or changes what is given.
    @discardableResult
    public func setUser(_ name: String, _ request: UserRequest) throws -> UserView {
        try send("PUT", UserView.self, "/v1/users/\(Self.escaped(name))", try Wire.encode(request))
    }

    /// Removes a user with all tokens.
    @discardableResult
    public func removeUser(_ name: String) throws -> Acknowledgement {
        try send("DELETE", Acknowledgement.self, "/v1/users/\(Self.escaped(name))")
    }

    /// All roles.
    public func roles() throws -> [RoleView] { try get(RoleList.self, "/v1/roles").roles }

    /// Sets the verbs of a role of the site's own.
    @discardableResult
    public func setRole(_ name: String, verbs: [String]) throws -> RoleView {
        let body = try Wire.encode(RoleRequest(verbs: verbs))
        return try send("PUT", RoleView.self, "/v1/roles/\(Self.escaped(name))", body)
    }

    /// Removes a role that nobody has.
    @discardableResult
    public func removeRole(_ name: String) throws -> Acknowledgement {
        try send("DELETE", Acknowledgement.self, "/v1/roles/\(Self.escaped(name))")
    }

    /// API tokens: one's own, or all for whoever may see them.
    public func apiTokens() throws -> [APITokenView] { try get(APITokenList.self, "/v1/api-tokens").tokens }

    /// Makes an API token; only this reply has its secret.
    public func createAPIToken(_ request: APITokenRequest) throws -> APITokenView {
        try post(APITokenView.self, "/v1/api-tokens", request)
    }

    /// Revokes an API token.
    @discardableResult
    public func revokeAPIToken(_ id: String) throws -> APITokenView {
        try post(APITokenView.self, "/v1/api-tokens/\(Self.escaped(id))/revoke", [String: String]())
    }

    /// A page of the audit log after an entry; the last page is empty.
    public func audit(after sequence: Int64) throws -> AuditPage {
        try get(AuditPage.self, "/v1/audit?after=\(sequence)")
    }

    /// What nodes remember of the audit log.
    public func auditWitnesses() throws -> [AuditWitnessList.Witness] {
        try get(AuditWitnessList.self, "/v1/audit/witnesses").witnesses
    }

    /// A name as one part of a path (RFC 3986, section 2.3).
    private static func escaped(_ name: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return name.utf8.reduce(into: "") { text, byte in
            let isPlain =
                (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
                || "-._~".utf8.contains(byte)
            if isPlain {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
