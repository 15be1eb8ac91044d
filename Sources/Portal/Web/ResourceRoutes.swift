internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Policy

/// Pages on which resources are listed, made, changed and deleted.
struct ResourceRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) {
        pages.get("/resources", use: list)
        pages.get("/resources/new") { request, context in
            let draft = ResourceDraft(Form.query(of: request))
            return try await page(draft, nil, request, context)
        }
        pages.post("/resources/new") { request, context in try await save(nil, request, context) }
        pages.get("/resources/:id") { request, context in
            let resource = try await found(context)
            let draft = ResourceDraft(resource, in: await portal.switchboard.directory)
            return try await page(draft, resource.id, request, context)
        }
        pages.post("/resources/:id") { request, context in
            try await save(try await found(context).id, request, context)
        }
        pages.get("/resources/:id/delete") { request, context in
            try await deletePage(try await found(context), nil, request, context)
        }
        pages.post("/resources/:id/delete", use: delete)
    }

    private func found(_ context: PortalContext) async throws -> Directory.Resource {
        let id = ResourceID(try context.parameters.require("id"))
        guard let resource = await portal.switchboard.directory.resources[id] else {
            throw APIError.notFound("There is no such resource any more.")
        }
        return resource
    }

    private func list(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/resources", request, context)
        let list = PageList(
            request,
            columns: [("name", "Name"), ("address", "Address"), ("site", "Site")]
        )
        let (rows, values) = list.cut(
            await portal.switchboard.resourceRows,
            hint: "Name, address or site"
        )
        return frame.response(
            "resources",
            title: "Resources",
            [
                "list": values,
                "rows": rows.map(\.values),
                "hasSites": await portal.switchboard.directory.sites.count > 0,
            ]
        )
    }

    private func page(
        _ draft: ResourceDraft,
        _ id: ResourceID?,
        _ request: Request,
        _ context: PortalContext,
        faults: [String: String] = [:],
        fault: String? = nil
    ) async throws -> Response {
        let frame = try await portal.frame("/resources", request, context)
        let directory = await portal.switchboard.directory
        let policies = id.map { directory.policies(for: $0) } ?? []
        return frame.response(
            "resource",
            title: id == nil ? "New resource" : draft.name,
            [
                "heading": id == nil ? "New resource" : draft.name,
                "action": id.map { "/resources/\($0)" } ?? "/resources/new",
                "button": id == nil ? "Create resource" : "Save changes",
                "deleteHref": id.map { "/resources/\($0)/delete" },
                "fault": fault,
                "faults": faults,
                "values": draft.values,
                "sites": directory.sites.map(\.name).sorted().map { name in
                    ["name": name, "isChosen": name == draft.site] as [String: Any]
                },
                "families": draft.families,
                "hasPolicies": !policies.isEmpty,
                "policies": policies.map { policy in
                    let values: [String: Any?] = [
                        "href": "/policies/\(policy.id)",
                        "group": directory.groups[policy.group]?.name,
                        "when": policy.conditions.sentences.joined(separator: "; "),
                    ]
                    return values.present
                },
            ],
            status: faults.isEmpty && fault == nil ? .ok : .unprocessableContent
        )
    }

    private func save(
        _ id: ResourceID?,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        let draft = ResourceDraft(try await Form.read(request, context))
        do {
            try await portal.switchboard.commit(by: context.principal?.name ?? "", why: "web") {
                directory in
                [.upsertResource(try draft.resource(id, in: directory))]
            }
            return .seeOther("/resources?done=\(id == nil ? "created" : "saved")")
        } catch let fault as FieldFault {
            return try await page(
                draft,
                id,
                request,
                context,
                faults: [fault.field: fault.sentence]
            )
        } catch let error as ChangeError {
            let faults = [FieldFault.formField(error.field): error.sentence]
            let isShown = ["name", "address", "site", "allow", "alias", "family"]
                .contains(FieldFault.formField(error.field))
            return try await page(
                draft,
                id,
                request,
                context,
                faults: isShown ? faults : [:],
                fault: isShown ? nil : error.sentence
            )
        } catch let error as StoreError {
            return try await page(draft, id, request, context, fault: error.sentence)
        }
    }

    private func deletePage(
        _ resource: Directory.Resource,
        _ fault: String?,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        let frame = try await portal.frame("/resources", request, context)
        let policies = await portal.switchboard.directory.policies(for: resource.id).count
        let together =
            policies == 0
            ? "" : " Its \(policies == 1 ? "policy goes" : "\(policies) policies go") with it."
        return frame.response(
            "delete",
            title: "Delete \(resource.name)",
            [
                "what": resource.name,
                "action": "/resources/\(resource.id)/delete",
                "back": "/resources/\(resource.id)",
                "backLabel": resource.name,
                "fault": fault,
                "consequence": "Connections to it end at once, and its name is no longer protected."
                    + together,
            ],
            status: fault == nil ? .ok : .unprocessableContent
        )
    }

    private func delete(_ request: Request, _ context: PortalContext) async throws -> Response {
        let resource = try await found(context)
        _ = try await Form.read(request, context)
        do {
            try await portal.switchboard.commit(by: context.principal?.name ?? "", why: "web") {
                directory in
                directory.policies(for: resource.id).map { .removePolicy($0.id) }
                    + [.removeResource(resource.id)]
            }
            return .seeOther("/resources?done=deleted")
        } catch let error as ChangeError {
            return try await deletePage(resource, error.sentence, request, context)
        }
    }
}

extension ResourceRow {
    fileprivate var values: [String: Any] {
        let values: [String: Any?] = [
            "href": "/resources/\(id)",
            "name": name,
            "address": address,
            "alias": alias,
            "site": site,
            "level": isOnline ? "good" : "bad",
            "word": isOnline ? "online" : "offline",
            "filters": filters.isEmpty ? nil : filters.map(\.description),
        ]
        return values.present
    }
}

/// What is wrong with one field of a form.
struct FieldFault: Error, Equatable {
    let field: String
    let sentence: String

    /// The form's word for a field of a change.
    static func formField(_ field: String) -> String {
        switch field {
        case "filters": "allow"
        case "conditions.hours": "hours"
        default: field.split(separator: ".").last.map(String.init) ?? field
        }
    }
}

/// A resource as somebody typed it.
struct ResourceDraft: Equatable {
    let name: String
    let address: String
    let alias: String
    let site: String
    let allow: String
    let family: String

    init(_ form: Form) {
        (name, address, alias) = (form["name"], form["address"], form["alias"])
        (site, allow, family) = (form["site"], form["allow"], form["family"])
    }

    init(_ resource: Directory.Resource, in directory: Directory) {
        (name, address) = (resource.name, resource.address.text)
        alias = resource.alias ?? ""
        site = directory.sites[resource.site]?.name ?? ""
        allow = resource.filters.map(\.description).joined(separator: ", ")
        family = resource.family.rawValue
    }

    /// The resource that is meant; what cannot be understood is told with its field.
    func resource(_ id: ResourceID?, in directory: Directory) throws -> Directory.Resource {
        let target: ResourceAddress
        do {
            target = try ResourceAddress(parsing: address)
        } catch {
            throw FieldFault(field: "address", sentence: error.sentence)
        }
        var filters: [Filter] = []
        for word in allow.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            do {
                filters.append(try Filter(parsing: String(word)))
            } catch {
                throw FieldFault(field: "allow", sentence: error.sentence + ".")
            }
        }
        guard let place = directory.sites[named: site] else {
            throw FieldFault(field: "site", sentence: "There is no site “\(site)”; choose one.")
        }
        var random = SystemRandomNumberGenerator()
        return Directory.Resource(
            id: id ?? ResourceID(using: &random),
            name: name,
            address: target,
            alias: alias.isEmpty
                ? nil : (try? ResourceAddress.canonicalName(alias)) ?? alias.lowercased(),
            family: ServedFamilies(rawValue: family) ?? .both,
            filters: filters,
            site: place.id
        )
    }

    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "name": name, "address": address, "alias": alias, "allow": allow,
        ]
        return all.present
    }

    fileprivate var families: [[String: Any]] {
        [("both", "IPv4 and IPv6"), ("ipv4", "IPv4 only"), ("ipv6", "IPv6 only")].map {
            ["value": $0.0, "label": $0.1, "isChosen": $0.0 == family]
        }
    }
}
