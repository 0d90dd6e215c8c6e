/// A question on its way through the node's servers.
struct Lookup: Sendable {
    let asker: NameAsker
    let question: NameQuestion
    /// The name's text.
    let name: String
    var attemptsLeft: Int
    /// How many servers were given up.
    var turn = 0
    var server: NameServer?
    var id: UInt16 = 0
    var isStream = false
    var withExtensions = true
    var foreignMessages = 0
    var deadline: Int64 = 0

    /// What is said where no server helps, or the node cannot do its part.
    static func failure(_ asker: NameAsker, _ question: NameQuestion) -> [UInt8] {
        question.reply(.serverFailure, reason: .noReachableAuthority, isStream: asker.connection != nil)
    }
}

extension NameRelay {
    /// Asks the next server, or gives up.
    mutating func attempt(_ number: Int, _ now: Int64) -> [Action] {
        guard var lookup = lookups[number] else { return [] }
        guard lookup.attemptsLeft > 0, !servers.isEmpty else {
            return end(number) + [.reply(lookup.asker, Lookup.failure(lookup.asker, lookup.question))]
        }
        lookup.attemptsLeft -= 1
        lookup.server = servers[(preferred + lookup.turn) % servers.count]
        lookup.isStream = false
        lookup.withExtensions = true
        return ask(number, &lookup, now)
    }

    /// Asks the lookup's server, with a number and from a port that nobody can guess.
    private mutating func ask(_ number: Int, _ lookup: inout Lookup, _ now: Int64) -> [Action] {
        guard let server = lookup.server else { return [] }
        lookup.id = random()
        lookup.foreignMessages = 0
        lookup.deadline = now + limits.attemptMilliseconds
        lookups[number] = lookup
        let message = DNSWriter.question(
            id: lookup.id, lookup.question.name, type: lookup.question.head.type,
            withExtensions: lookup.withExtensions)
        return [.ask(number, server, isStream: lookup.isStream, message)]
    }

    /// A message came from the server that a lookup asks.
    public mutating func received(_ number: Int, _ bytes: [UInt8], now: Int64) -> [Action] {
        guard var lookup = lookups[number], let service = services[lookup.asker.wire] else { return [] }
        let own = ownAddresses
        let answer = NameAnswer(
            parsing: bytes, id: lookup.id, name: lookup.question.name, type: lookup.question.head.type
        ) { service.sets.mayOpen($0) && !own.contains($0) }
        switch answer.outcome {
        case .answered: return finish(number, lookup, service, answer, now)
        case .absent:
            let reply = lookup.question.reply(.nameError, isStream: lookup.asker.connection != nil)
            return end(number) + [.reply(lookup.asker, reply)]
        case .truncated where !lookup.isStream:
            lookup.isStream = true
            return ask(number, &lookup, now)
        case .withoutExtensions where lookup.withExtensions:
            lookup.withExtensions = false
            return ask(number, &lookup, now)
        case .foreign where lookup.foreignMessages < limits.foreignMessages && !lookup.isStream:
            lookups[number]?.foreignMessages += 1
            return []
        case .truncated, .withoutExtensions, .foreign, .failed: return failed(number, now: now)
        }
    }

    /// The server that a lookup asks cannot be reached, or said nothing that is of use.
    public mutating func failed(_ number: Int, now: Int64) -> [Action] {
        lookups[number]?.turn += 1
        return attempt(number, now)
    }

    /// Gives up on servers that were silent for too long.
    public mutating func expire(now: Int64) -> [Action] {
        var actions: [Action] = []
        for (number, lookup) in lookups.filter({ $0.value.deadline <= now }).sorted(by: { $0.key < $1.key }) {
            if !servers.isEmpty, lookup.server == servers[preferred % servers.count] {
                // The next lookup does not wait for it. This one goes on from here as well.
                preferred = (preferred + 1) % servers.count
                for other in lookups.keys { lookups[other]?.turn += servers.count - 1 }
            }
            actions += failed(number, now: now)
        }
        return actions
    }

    private mutating func end(_ number: Int) -> [Action] {
        guard let lookup = lookups.removeValue(forKey: number) else { return [] }
        services[lookup.asker.wire]?.lookups -= 1
        return [.end(number)]
    }

    /// Opens what is not open for long enough yet, and replies then.
    private mutating func finish(
        _ number: Int, _ lookup: Lookup, _ service: Service, _ answer: NameAnswer, _ now: Int64
    ) -> [Action] {
        var actions = end(number)
        if let address = answer.denied.first, service.told.count < 16,
            services[lookup.asker.wire]?.told.insert(lookup.name).inserted ?? false
        {
            actions.append(
                .tell(
                    "workload '\(service.workload)': the name '\(lookup.name)' leads to \(address), which no workload may reach"
                ))
        }
        let isStream = lookup.asker.connection != nil
        let seconds = min(Int(answer.timeToLiveSeconds), limits.lifetimeSeconds.upperBound)
        let reply = lookup.question.reply(
            .noError, answer.addresses, timeToLiveSeconds: UInt32(seconds),
            reason: answer.addresses.isEmpty && !answer.denied.isEmpty ? .blocked : nil, isStream: isStream)
        let lifetime = max(seconds, limits.lifetimeSeconds.lowerBound)
        let needed = now + Int64(lifetime) * 1000
        let closed = service.sets.elements(lookup.name, answer.addresses).filter { service.open[$0] ?? 0 < needed }
        guard !closed.isEmpty else { return actions + [.reply(lookup.asker, reply)] }
        let open = lifetime + limits.slackSeconds
        let opening = Opening(
            asker: lookup.asker, commands: service.sets.opening(closed, seconds: open), reply: reply,
            failure: Lookup.failure(lookup.asker, lookup.question), elements: closed, seconds: open)
        return actions + [.open(opening)]
    }
}
