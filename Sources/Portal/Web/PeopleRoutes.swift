internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Policy

/// Pages for groups and who is in them.
struct PeopleRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) {
        pages.get("/people") { request, context in
            let frame = try await portal.frame("/people", request, context)
            let list = PageList(request, columns: [("name", "Group"), ("members", "Members")])
            let (rows, values) = list.cut(
                await portal.switchboard.groupRows,
                hint: "Group or person"
            )
            return frame.response(
                "people",
                title: "People",
                ["list": values, "rows": rows.map(\.values)]
            )
        }
        pages.get("/people/new") { request, context in
            try await page("", "", nil, [:], request, context)
        }
        pages.post("/people/new") { request, context in try await save(nil, request, context) }
        pages.get("/people/:id") { request, context in
            let group = try await found(context)
            let directory = await portal.switchboard.directory
            let members = group.members.compactMap { directory.actors[$0]?.name }.sorted()
            return try await page(
                group.name,
                members.joined(separator: "\n"),
                group.id,
                [:],
                request,
                context
            )
        }
        pages.post("/people/:id") { request, context in
            try await save(try await found(context).id, request, context)
        }
    }

    private func found(_ context: PortalContext) async throws -> Directory.Group {
        let id = GroupID(try context.parameters.require("id"))
        guard let group = await portal.switchboard.directory.groups[id] else {
            throw APIError.notFound("There is no such group any more.")
        }
        return group
    }

    private func page(
        _ name: String,
        _ members: String,
        _ id: GroupID?,
        _ faults: [String: String],
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        let frame = try await portal.frame("/people", request, context)
        return frame.response(
            "group",
            title: id == nil ? "New group" : name,
            [
                "heading": id == nil ? "New group" : name,
                "action": id.map { "/people/\($0)" } ?? "/people/new",
                "button": id == nil ? "Create group" : "Save changes",
                "name": name,
                "members": members,
                "faults": faults,
            ],
            status: faults.isEmpty ? .ok : .unprocessableContent
        )
    }

    private func save(
        _ id: GroupID?,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        let form = try await Form.read(request, context)
        do {
            try await portal.switchboard.commit(by: context.principal?.name ?? "", why: "web") {
                directory in
                Self.changes(id, form["name"], form.list("members"), in: directory)
            }
            return .seeOther("/people?done=\(id == nil ? "created" : "saved")")
        } catch let error as ChangeError {
            // A member that cannot be is told where members are typed.
            let isName =
                error.field == "name"
                && !form.list("members").contains { error.sentence.contains($0) }
            let faults = [isName ? "name" : "members": error.sentence]
            return try await page(form["name"], form["members"], id, faults, request, context)
        }
    }

    /// A group, and the people in it who are new.
    private static func changes(
        _ id: GroupID?,
        _ name: String,
        _ members: [String],
        in directory: Directory
    ) -> [Change] {
        var random = SystemRandomNumberGenerator()
        var changes: [Change] = []
        var known: [String: ActorID] = [:]
        let ids = members.map { member in
            if let id = directory.actors[named: member]?.id ?? known[member.lowercased()] {
                return id
            }
            let isPerson = member.contains("@")
            let actor = Directory.Actor(
                id: ActorID(using: &random),
                kind: isPerson ? .person : .service,
                name: member
            )
            known[member.lowercased()] = actor.id
            changes.append(.upsertActor(actor))
            return actor.id
        }
        let group = Directory.Group(id: id ?? GroupID(using: &random), name: name, members: ids)
        if directory.groups[group.id] != group { changes.append(.upsertGroup(group)) }
        return changes
    }
}

/// A group in a list.
struct GroupRow: Listed, Equatable {
    let id: String
    let name: String
    let members: [String]
    let policies: Int

    var searchText: String { "\(name) \(members.joined(separator: " "))" }
    func sortKey(_ column: String) -> String {
        column == "members" ? String(1_000_000 + members.count) : name
    }

    fileprivate var values: [String: Any] {
        let shown = members.prefix(3).joined(separator: ", ")
        return [
            "href": "/people/\(id)",
            "name": name,
            "members": members.count > 3 ? "\(shown) and \(members.count - 3) more" : shown,
            "policies": policies,
        ]
    }
}

extension Switchboard {
    var groupRows: [GroupRow] {
        directory.groups.map { group in
            GroupRow(
                id: group.id.text,
                name: group.name,
                members: group.members.compactMap { directory.actors[$0]?.name }.sorted(),
                policies: directory.policies(of: group.id).count
            )
        }
    }
}
