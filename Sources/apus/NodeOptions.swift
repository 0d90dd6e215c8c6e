public import ArgumentParser
public import Contract
import Foundation
import Operator

/// What every command about one node takes: which node, which server, and how to show the result.
struct NodeOptions: ParsableArguments {
    @Argument(help: "The node's id, or the first four or more characters of it.")
    var node: String

    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    /// Finds the node, does something with it, and shows what came of it; what fails is told in one sentence.
    func act<Value: Encodable>(
        _ work: (OperatorClient, NodeView) throws -> Value, text: (NodeView, Value) -> String
    ) throws {
        try reporting {
            let api = try connection.open()
            let node = try findNode(node, api)
            let value = try work(api, node)
            try output.show(value) { text(node, value) }
        }
    }
}

/// The one node whose id begins with `text`.
func findNode(_ text: String, _ api: OperatorClient) throws -> NodeView {
    if let id = NodeID(text.lowercased()) { return try api.node(id) }
    return try findNode(text, in: try api.nodes())
}

/// The one of some nodes whose id begins with `text`.
func findNode(_ text: String, in nodes: [NodeView]) throws -> NodeView {
    let wanted = text.lowercased()
    guard wanted.count >= 4 else { throw Failure("'\(text)' is too short: give at least 4 characters of the id") }
    let matches = nodes.filter { $0.id.rawValue.hasPrefix(wanted) }
    guard let match = matches.first else {
        throw Failure("there is no node '\(text)'; 'apus node list' shows those there are")
    }
    guard matches.count == 1 else {
        throw Failure("\(matches.count) nodes begin with '\(text)': give more of the id, as 'apus node list' shows it")
    }
    return match
}

/// The one node that has `text` as its label `name`, or whose id begins with it.
func findNodeByName(_ text: String, _ api: OperatorClient) throws -> NodeView {
    let nodes = try api.nodes()
    let named = nodes.filter { $0.labels["name"] == text }
    guard named.count <= 1 else { throw Failure("\(named.count) nodes have the name '\(text)': give an id instead") }
    return try named.first ?? findNode(text, in: nodes)
}

/// How many characters of an id it takes to tell nodes apart: their first ten are the time of registration, which is
/// the same for all machines of a rack that is switched on.
func idLength(_ nodes: [NodeView]) -> Int {
    let ids = nodes.map(\.id.rawValue).sorted()
    let shared = zip(ids, ids.dropFirst()).map { $0.commonPrefix(with: $1).count }.max() ?? 0
    return max(12, shared + 1)
}

extension NodeState: ExpressibleByArgument {
    /// Reads a state in either case.
    public init?(argument: String) { self.init(rawValue: argument.uppercased()) }
}
