import Agent

/// The resident agent: composition only.
@main
struct Main {
    static func main() { AgentProgram.main() }
}
