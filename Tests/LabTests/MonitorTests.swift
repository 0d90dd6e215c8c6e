import Contract
import Foundation
import Testing

@testable import Lab

@Suite struct MonitorTests {
    @Test func greetingRepliesAndEventsAreToldApart() throws {
        #expect(QMPMessage(line: Array(#"{"QMP": {"version": {}, "capabilities": []}}"#.utf8)) == .greeting)
        #expect(
            QMPMessage(line: Array(#"{"return": {}, "id": "lab-1"}"#.utf8)) == .reply(id: "lab-1", value: .object([:])))
        #expect(
            QMPMessage(line: Array(#"{"error": {"class": "GenericError", "desc": "no"}, "id": "lab-2"}"#.utf8))
                == .failure(id: "lab-2", description: "no"))
        #expect(QMPMessage(line: Array("not JSON".utf8)) == nil)
        #expect(QMPMessage(line: Array(#"{"something": 1}"#.utf8)) == nil)
    }

    @Test func anEventSaysWhetherTheGuestCausedIt() throws {
        let line = #"{"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}, "timestamp": {"seconds": 1}}"#
        guard case .event(let event)? = QMPMessage(line: Array(line.utf8)) else {
            Issue.record("not an event")
            return
        }
        #expect(event.name == "RESET")
        #expect(event.isGuests)
    }

    @Test func controlSequencesDoNotHideWhatTheConsoleSays() {
        let line = Array(
            "[  \u{1b}[0;32mOK\u{1b}[0m  ] Reached target \u{1b}[0;1;39mmulti-user.target\u{1b}[0m\u{7}".utf8)
        #expect(ConsoleLog.plain(line) == "[  OK  ] Reached target multi-user.target")
        #expect(ConsoleLog.plain([0x1b]) == "")
    }

    @Test func theConsoleIsReadOnceAndInOrder() throws {
        let path = NSTemporaryDirectory() + "/console-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let console = ConsoleLog(path: path)
        #expect(console.next(containing: "a") == nil)
        try Data("first\r\nsecond\nthird pro".utf8).write(to: URL(fileURLWithPath: path))
        #expect(console.next(containing: "second") == "second")
        #expect(console.next(containing: "first") == nil)
        #expect(console.next(containing: "third") == "third pro")
        #expect(console.lines == ["first", "second"])
        #expect(console.tail(2) == ["second", "third pro"])
    }

    @Test func aChallengeCodeIsFoundOnlyAloneOnItsLine() {
        #expect(Provisioning.challengeCode(in: "    4T9K-0ZQM") == "4T9K-0ZQM")
        #expect(Provisioning.challengeCode(in: "    4T9K-0ZQ") == nil)
        #expect(Provisioning.challengeCode(in: "serial 4T9K-0ZQM") == nil)
        #expect(Provisioning.challengeCode(in: "####-####") == nil)
    }
}
