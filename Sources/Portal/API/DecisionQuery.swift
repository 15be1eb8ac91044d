internal import Control
internal import Foundation
internal import IP
internal import Policy

/// May somebody reach something, from somewhere, at some time; and why.
struct DecisionQuery: Equatable {
    let who: String
    let destination: Destination
    let remote: IPAddress?
    let at: WallTime?
    let country: String?
    let isVerified: Bool

    /// Reads the fields `who`, `reach`, `from`, `at`, `country`, `verified`.
    init(_ form: Form) throws(APIError) {
        who = form["who"]
        guard !who.isEmpty else { throw .malformed("“who” is missing: an e-mail address.") }
        guard let destination = Destination(form["reach"]) else {
            throw .malformed("“reach” must be a name or address, with a port: git.example.com:443.")
        }
        self.destination = destination
        remote = form["from"].isEmpty ? nil : IPAddress(form["from"])
        if !form["from"].isEmpty, remote == nil {
            throw .malformed("“\(form["from"])” is not an IP address.")
        }
        at = form["at"].isEmpty ? nil : WallTime(form["at"])
        if !form["at"].isEmpty, at == nil {
            throw .malformed("“\(form["at"])” is not a time; write 2026-06-01T09:00:00+02:00.")
        }
        country = form["country"].isEmpty ? nil : form["country"].uppercased()
        isVerified = form["verified"] == "true"
    }

    /// The answer, for administrators and programs.
    struct Answer: Codable, Equatable {
        let allowed: Bool
        /// For an administrator.
        let sentence: String
        /// What the person is told.
        let person: String
        var resource: String?
        var site: String?
        /// The groups of the policy that allows.
        var group: String?
        /// When the clock alone ends it.
        var until: String?
        var failed: [String] = []
    }

    /// What `directory` decides.
    func answer(in directory: Directory) -> Answer {
        guard let actor = directory.actors[named: who] else {
            let sentence = "There is nobody called “\(who)”."
            return Answer(allowed: false, sentence: sentence, person: sentence)
        }
        let own = Directory.choice(for: destination, among: directory.resources(for: actor.id))
        guard
            let resource = own
                ?? Directory.choice(for: destination, among: Array(directory.resources))
        else {
            let sentence = "No resource covers \(destination)."
            return Answer(allowed: false, sentence: sentence, person: sentence)
        }
        guard resource.filters.permit(destination.transport, port: destination.port) else {
            let sentence = "\(resource.name) does not let \(destination.traffic) through."
            return Answer(
                allowed: false,
                sentence: sentence,
                person: sentence,
                resource: resource.name
            )
        }
        let now = at ?? WallTime(.now)
        let context = Context(
            now: now,
            remote: remote,
            country: country,
            zones: ZoneTable.lookUp(directory.zoneNames, at: now.date)
        )
        let device = Device(isVerified: isVerified)
        let decision = directory.decide(
            actor: actor.id,
            device: device,
            resource: resource.id,
            in: context
        )
        let words = directory.explain(
            decision,
            actor: actor,
            device: device,
            resource: resource.id,
            in: context
        )
        var answer = Answer(
            allowed: decision.isAllowed,
            sentence: words.administrator,
            person: words.person,
            resource: resource.name,
            site: directory.sites[resource.site]?.name
        )
        answer.failed = words.failed.map(\.sentence)
        if case .allow(let permit) = decision {
            answer.until = permit.until?.description
            answer.group = directory.policies[permit.policy].flatMap {
                directory.groups[$0.group]?.name
            }
        }
        return answer
    }
}
