import Access
import Contract
import HTTPTypes

/// A person or a program that proved who it is, and what it may do.
struct Principal: Sendable {
    /// The user's name; of the token in the data directory, words that no user is called.
    let name: String
    /// The API token that was shown; nil for the one in the data directory.
    let token: String?
    /// When that ends, in seconds since 1970.
    let expiresSeconds: Int64?
    /// What the user was granted.
    let grants: [RoleGrant]
    /// What the token is restricted to; nil for no less than its user.
    let tokenGrants: [RoleGrant]?
    /// Both together.
    let permissions: Rights

    /// Who holds the token of the data directory: that file's reader can read and write all else there.
    static let site = Principal(
        name: "site administrator", token: nil, expiresSeconds: nil, grants: [RoleGrant(role: "admin")],
        tokenGrants: nil, permissions: .all)

    /// Demands a verb for the site as a whole.
    func demand(_ verb: Verb) throws(APIFailure) {
        guard permissions.allows(verb) else {
            throw refusal(verb, permissions.allowsSomewhere(verb) ? "for the whole site" : nil)
        }
    }

    /// Demands a verb on a node.
    func demand(_ verb: Verb, on node: NodeID, labels: [String: String]) throws(APIFailure) {
        guard permissions.allows(verb, on: labels) else {
            throw refusal(verb, permissions.allowsSomewhere(verb) ? "on node \(node)" : nil)
        }
    }

    /// Demands a verb on some nodes at least.
    func demandSomewhere(_ verb: Verb) throws(APIFailure) {
        guard permissions.allowsSomewhere(verb) else { throw refusal(verb, nil) }
    }

    /// The refusal of a verb.
    func refusal(_ verb: Verb, _ place: String?) -> APIFailure {
        APIFailure(
            .forbidden, "not-permitted",
            "'\(name)' does not have the verb '\(verb.rawValue)'\(place.map { " " + $0 } ?? ""); "
                + "'apus whoami' shows what you have, and who has 'access.write' can grant a role with it")
    }
}
