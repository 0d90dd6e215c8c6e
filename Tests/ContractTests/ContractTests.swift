import Contract
import Testing

@Suite struct WireTests {
    /// What is wrong is said in the words of JSON's users, not of a programming language.
    @Test(arguments: [
        ("[]", "the message is not an object"), ("{}", "field 'note' is missing"),
        (#"{"note":5,"uses":1,"lifetimeSeconds":1,"labels":{}}"#, "field 'note' is not text"),
        (#"{"note":"","uses":"1","lifetimeSeconds":1,"labels":{}}"#, "field 'uses' is not a whole number"),
        (#"{"note":"","uses":null,"lifetimeSeconds":1,"labels":{}}"#, "field 'uses' is null where a whole number"),
        (#"{"note":"","uses":1,"lifetimeSeconds":1,"labels":[]}"#, "field 'labels' is not an object"),
        (#"{"note":"","uses":1,"lifetimeSeconds":1,"labels":{"a":1}}"#, "field 'labels.a' is not text"),
        ("{", "not valid"),
    ])
    func wrongMessagesAreExplained(_ json: String, _ words: String) {
        let error = #expect(throws: WireError.self) { try Wire.decode(TokenRequest.self, from: json.utf8) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test func largeMessagesAreRefusedUnread() {
        let error = #expect(throws: WireError.self) {
            try Wire.decode(TokenRequest.self, from: [UInt8](repeating: 0x20, count: 11), limit: 10)
        }
        #expect(error?.description.contains("larger than the 10") == true)
    }
}
