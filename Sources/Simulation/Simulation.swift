// A disk, firmware and clock that lose power at any effect; never linked into a shipped program.
