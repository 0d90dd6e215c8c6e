import Foundation
import Packing
import Synchronization

/// How far something is: one line that is written over on a terminal; elsewhere a line when a part begins.
final class ProgressLine: Sendable {
    private struct State {
        var part = ""
        var percent: UInt64 = .max
        var isOpen = false
    }
    private let state = Mutex(State())
    private let isQuiet: Bool
    private let isTerminal: Bool

    init(isQuiet: Bool) {
        self.isQuiet = isQuiet
        isTerminal = isatty(2) == 1
    }

    /// Shows how far a part is, in bytes or any other unit.
    func show(_ part: String, _ done: UInt64, _ total: UInt64) {
        let percent = total == 0 ? 100 : min(100, done * 100 / total)
        state.withLock { state in
            guard !isQuiet, state.part != part || (isTerminal && state.percent != percent) else { return }
            if state.part != part { close(&state) }
            state.part = part
            state.percent = percent
            state.isOpen = isTerminal
            write(isTerminal ? "\r\(part): \(percent) %\u{1b}[K" : "\(part)\n")
        }
    }

    /// Says something on a line of its own.
    func say(_ text: String) {
        state.withLock { state in
            guard !isQuiet else { return }
            close(&state)
            state.part = ""
            write(text + "\n")
        }
    }

    /// Ends the open line.
    func end() { state.withLock { close(&$0) } }

    /// Shows the events of a build.
    func take(_ event: BuildEvent) {
        switch event {
        case .started(let step, let number, let total): say("[\(number)/\(total)] \(step)")
        case .progress(let step, let done, let total):
            if isTerminal { show("      \(step)", done, total) }
        case .finished(_, let seconds): say("      done in \((seconds * 10).rounded() / 10) s")
        case .note(let text): say("      note: \(text)")
        }
    }

    private func close(_ state: inout State) {
        if state.isOpen { write("\n") }
        state.isOpen = false
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
