internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Policy

/// Pages on which policies are listed, made, changed, deleted and explained.
struct PolicyRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) {
        pages.get("/policies", use: list)
        pages.get("/policies/explain", use: explain)
        pages.get("/policies/new") { request, context in
            try await page(PolicyDraft(Form.query(of: request)), nil, request, context)
        }
        pages.post("/policies/new") { request, context in try await save(nil, request, context) }
        pages.get("/policies/:id") { request, context in
            let policy = try await found(context)
            let draft = PolicyDraft(policy, in: await portal.switchboard.directory)
            return try await page(draft, policy.id, request, context)
        }
        pages.post("/policies/:id") { request, context in
            try await save(try await found(context).id, request, context)
        }
        pages.get("/policies/:id/delete", use: deletePage)
        pages.post("/policies/:id/delete", use: delete)
    }

    private func found(_ context: PortalContext) async throws -> Directory.Policy {
        let id = PolicyID(try context.parameters.require("id"))
        guard let policy = await portal.switchboard.directory.policies[id] else {
            throw APIError.notFound("There is no such policy any more.")
        }
        return policy
    }

    private func list(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/policies", request, context)
        let list = PageList(request, columns: [("group", "Group"), ("resource", "Resource")])
        let (rows, values) = list.cut(
            await portal.switchboard.policyRows,
            hint: "Group or resource"
        )
        let directory = await portal.switchboard.directory
        return frame.response(
            "policies",
            title: "Policies",
            [
                "list": values,
                "rows": rows.map(\.values),
                "canCreate": directory.groups.count > 0 && directory.resources.count > 0,
            ]
        )
    }

    private func page(
        _ draft: PolicyDraft,
        _ id: PolicyID?,
        _ request: Request,
        _ context: PortalContext,
        faults: [String: String] = [:],
        fault: String? = nil
    ) async throws -> Response {
        let frame = try await portal.frame("/policies", request, context)
        let directory = await portal.switchboard.directory
        func choices(_ names: [String], _ chosen: String) -> [[String: Any]] {
            names.sorted().map { ["name": $0, "isChosen": $0 == chosen] }
        }
        let title = id == nil ? "New policy" : "\(draft.group) → \(draft.resource)"
        return frame.response(
            "policy",
            title: title,
            [
                "heading": title,
                "action": id.map { "/policies/\($0)" } ?? "/policies/new",
                "button": id == nil ? "Create policy" : "Save changes",
                "deleteHref": id.map { "/policies/\($0)/delete" },
                "fault": fault,
                "faults": faults,
                "warnings": id.flatMap { directory.policies[$0] }.map(directory.warnings)?.map {
                    "Take care: \($0)"
                },
                "groups": choices(directory.groups.map(\.name), draft.group),
                "resources": choices(directory.resources.map(\.name), draft.resource),
                "conditions": draft.fields(faults),
                "isVerified": draft.isVerified,
            ],
            status: faults.isEmpty && fault == nil ? .ok : .unprocessableContent
        )
    }

    private func save(
        _ id: PolicyID?,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        let draft = PolicyDraft(try await Form.read(request, context))
        do {
            var saved: Directory.Policy?
            try await portal.switchboard.commit(by: context.principal?.name ?? "", why: "web") {
                directory in
                let policy = try draft.policy(id, in: directory)
                saved = policy
                return [.upsertPolicy(policy)]
            }
            let done = "done=\(id == nil ? "created" : "saved")"
            let directory = await portal.switchboard.directory
            // What is accepted and cannot work yet is said on its own page.
            if let saved, !directory.warnings(of: saved).isEmpty {
                return .seeOther("/policies/\(saved.id)?\(done)")
            }
            return .seeOther("/policies?\(done)")
        } catch let fault as FieldFault {
            return try await page(
                draft,
                id,
                request,
                context,
                faults: [fault.field: fault.sentence]
            )
        } catch let error as ChangeError {
            let field = FieldFault.formField(error.field)
            let isShown = PolicyDraft.fieldNames.contains(field)
            return try await page(
                draft,
                id,
                request,
                context,
                faults: isShown ? [field: error.sentence] : [:],
                fault: isShown ? nil : error.sentence
            )
        } catch let error as StoreError {
            return try await page(draft, id, request, context, fault: error.sentence)
        }
    }

    private func deletePage(_ request: Request, _ context: PortalContext) async throws -> Response {
        let policy = try await found(context)
        let frame = try await portal.frame("/policies", request, context)
        let draft = PolicyDraft(policy, in: await portal.switchboard.directory)
        return frame.response(
            "delete",
            title: "Delete the policy",
            [
                "what": "\(draft.group) → \(draft.resource)",
                "action": "/policies/\(policy.id)/delete",
                "back": "/policies/\(policy.id)",
                "backLabel": "Policy",
                "consequence": "Members of \(draft.group) whom no other policy lets reach "
                    + "\(draft.resource) lose their connections to it at once.",
            ]
        )
    }

    private func delete(_ request: Request, _ context: PortalContext) async throws -> Response {
        let policy = try await found(context)
        _ = try await Form.read(request, context)
        try await portal.switchboard.commit(
            [.removePolicy(policy.id)],
            by: context.principal?.name ?? "",
            why: "web"
        )
        return .seeOther("/policies?done=deleted")
    }

    private func explain(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/policies", request, context)
        let form = Form.query(of: request)
        var values: [String: Any?] = [
            "values": [
                "who": form["who"], "reach": form["reach"], "from": form["from"], "at": form["at"],
            ]
        ]
        if !form["who"].isEmpty || !form["reach"].isEmpty {
            let directory = await portal.switchboard.directory
            do {
                values["answer"] = try DecisionQuery(form).answer(in: directory).values
            } catch {
                values["fault"] = error.refusal.sentence
            }
        }
        return frame.response("explain", title: "Explain a decision", values)
    }
}

extension PolicyRow {
    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "href": "/policies/\(id)", "group": group, "resource": resource,
            "when": conditions.isEmpty ? nil : conditions,
        ]
        return all.present
    }
}

extension DecisionQuery.Answer {
    fileprivate var values: [String: Any] {
        let facts: [(String, String?)] = [
            ("Resource", resource), ("Site", site), ("By the policy for", group),
            ("Until", until), ("The person reads", allowed ? nil : person),
        ]
        let shown = facts.compactMap { label, value in
            value.map { ["label": label, "value": $0] }
        }
        return [
            "level": allowed ? "good" : "bad",
            "word": allowed ? "allowed" : "denied",
            "sentence": sentence,
            "hasFacts": !shown.isEmpty,
            "facts": shown,
            "hasFailed": !failed.isEmpty,
            "failed": failed,
        ]
    }
}
