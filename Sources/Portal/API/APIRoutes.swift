internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import IP
internal import NIOCore
internal import Policy

/// The API under `/api/v1`: JSON in, JSON out; the same on the local socket and over TLS.
struct APIRoutes {
    /// Bounds of lists.
    enum Limits {
        /// Elements in one answer.
        static let count = 1_000
    }

    let portal: Portal

    func add(to router: Router<PortalContext>) {
        let api = router.group("/api/v1").add(middleware: APIGate(portal: portal))
        api.get("/status") { _, _ in try Response.json(await portal.switchboard.status) }
        api.get("/configuration", use: exportConfiguration)
        api.post("/configuration", use: applyConfiguration)
        api.get("/decisions", use: explain)
        api.get("/tokens") { _, _ in
            try Response.json(["items": await portal.switchboard.tokenRows])
        }
        api.post("/tokens", use: makeToken)
        api.delete("/tokens/:id", use: revokeToken)
        api.post("/administrators/link") { _, _ in
            try Response.json(["link": try await portal.invitation()], status: .created)
        }
        addLists(to: api)
        api.delete("/clients/:id") { request, context in
            let id = ClientID(try context.parameters.require("id"))
            return try await remove(.removeClient(id), context)
        }
        api.delete("/gateways/:id") { request, context in
            let id = GatewayID(try context.parameters.require("id"))
            return try await remove(.removeGateway(id), context)
        }
        api.post("/clients/:id/verified", use: verifyClient)
        api.post("/gateways/:id/drain", use: drain)
        api.delete("/gateways/:id/drain") { _, context in
            try await drain(within: nil, context)
        }
    }

    private func addLists(to api: RouterGroup<PortalContext>) {
        api.get("/clients") { request, _ in try await list(request, portal.switchboard.clientRows) }
        api.get("/gateways") { request, _ in try await list(request, portal.switchboard.gatewayRows)
        }
        api.get("/resources") { request, _ in
            try await list(request, portal.switchboard.resourceRows)
        }
        api.get("/policies") { request, _ in try await list(request, portal.switchboard.policyRows)
        }
        api.get("/relays") { request, _ in try await list(request, portal.switchboard.relayRows) }
        api.get("/sites") { request, _ in try await list(request, portal.switchboard.siteRows) }
        api.get("/activity") { request, _ in
            let (offset, count) = Self.window(request)
            let query = Form.query(of: request)["q"]
            let page = try await portal.store.activity(
                matching: query,
                offset: offset,
                count: count
            )
            return try Response.json(Page(items: page.rows, total: page.total))
        }
        api.get("/flows") { request, _ in
            let (offset, count) = Self.window(request)
            let query = Form.query(of: request)["q"]
            let page = try await portal.store.flows(matching: query, offset: offset, count: count)
            return try Response.json(Page(items: page.rows, total: page.total))
        }
        api.get("/changes") { request, _ in
            let (offset, count) = Self.window(request)
            let query = Form.query(of: request)["q"]
            let page = try await portal.store.audit(matching: query, offset: offset, count: count)
            return try Response.json(Page(items: page.rows.map(ChangeRow.init), total: page.total))
        }
    }

    private func list<Row: Listed>(_ request: Request, _ rows: [Row]) throws -> Response {
        let (offset, count) = Self.window(request)
        let form = Form.query(of: request)
        let found = ListQuery(text: form["q"], sort: form["sort"]).apply(to: rows)
        let items = Array(found.dropFirst(offset).prefix(count))
        return try Response.json(Page(items: items, total: found.count))
    }

    private static func window(_ request: Request) -> (offset: Int, count: Int) {
        let form = Form.query(of: request)
        let count = min(Int(form["limit"]) ?? 100, Limits.count)
        return (max(0, Int(form["offset"]) ?? 0), max(1, count))
    }

    private func exportConfiguration(_ request: Request, _: PortalContext) async throws -> Response
    {
        let directory = await portal.switchboard.directory
        let text = Configuration(exporting: directory).node.yaml
        var response = Response.text(text, type: "application/yaml; charset=utf-8")
        response.headers[.eTag] = "\"\(await portal.switchboard.revision)\""
        return response
    }

    /// Body: one file as `application/yaml`, or `{"files": [{"name": …, "text": …}]}`.
    private func applyConfiguration(_ request: Request, _ context: PortalContext) async throws
        -> Response
    {
        struct Files: Decodable { let files: [ConfigurationText.File] }
        let body = String(buffer: try await request.body.collect(upTo: context.maxUploadSize))
        let isJSON = request.headers[.contentType]?.hasPrefix("application/json") ?? false
        var files = [ConfigurationText.File(name: "", text: body)]
        if isJSON {
            guard let several = try? JSONDecoder().decode(Files.self, from: Data(body.utf8)) else {
                throw APIError.malformed(
                    "The body must be {\"files\": [{\"name\": …, \"text\": …}]}."
                )
            }
            files = several.files
        }
        let form = Form.query(of: request)
        let outcome = try await portal.switchboard.apply(
            try ConfigurationText.read(files),
            by: context.principal?.name ?? "",
            why: form["why"].isEmpty ? "apply" : form["why"],
            isDryRun: form["dry-run"] == "true"
        )
        return try Response.json(outcome)
    }

    private func explain(_ request: Request, _: PortalContext) async throws -> Response {
        let form = Form.query(of: request)
        let directory = await portal.switchboard.directory
        return try Response.json(try DecisionQuery(form).answer(in: directory))
    }

    private func makeToken(_ request: Request, _ context: PortalContext) async throws -> Response {
        let body = try await request.body.collect(upTo: Form.Limits.byteCount)
        guard
            let wish = try? JSONDecoder().decode(TokenWish.self, from: Data(body.readableBytesView))
        else {
            throw APIError.malformed(
                "The body must be {\"kind\": \"gateway\", \"relay\", \"client\" or \"api\", \"name\": …}."
            )
        }
        let made = try await portal.switchboard.makeToken(wish, by: context.principal?.name ?? "")
        return try Response.json(made, status: .created)
    }

    private func revokeToken(_ request: Request, _ context: PortalContext) async throws -> Response
    {
        let id = try context.parameters.require("id")
        try await portal.switchboard.revokeToken(id, by: context.principal?.name ?? "")
        return Response(status: .noContent)
    }

    private func verifyClient(_ request: Request, _ context: PortalContext) async throws -> Response
    {
        struct Wish: Decodable { let verified: Bool }
        let body = try await request.body.collect(upTo: Form.Limits.byteCount)
        guard let wish = try? JSONDecoder().decode(Wish.self, from: Data(body.readableBytesView))
        else {
            throw APIError.malformed(
                "The body must be {\"verified\": true} or {\"verified\": false}."
            )
        }
        let id = ClientID(try context.parameters.require("id"))
        let revision = try await portal.switchboard.setVerified(
            wish.verified,
            client: id,
            by: context.principal?.name ?? ""
        )
        return try Response.json(["revision": revision])
    }

    private func drain(_ request: Request, _ context: PortalContext) async throws -> Response {
        struct Wish: Decodable { let seconds: Double? }
        let body = try await request.body.collect(upTo: Form.Limits.byteCount)
        var wish: Wish? = Wish(seconds: nil)
        if body.readableBytes > 0 {
            wish = try? JSONDecoder().decode(Wish.self, from: Data(body.readableBytesView))
        }
        guard let wish, (wish.seconds ?? 0) >= 0 else {
            throw APIError.malformed("The body must be empty, or {\"seconds\": 600}.")
        }
        return try await drain(
            within: wish.seconds ?? Switchboard.DrainLimits.seconds,
            context
        )
    }

    private func drain(within seconds: Double?, _ context: PortalContext) async throws -> Response {
        let outcome = try await portal.switchboard.drain(
            try context.parameters.require("id"),
            within: seconds,
            by: context.principal?.name ?? ""
        )
        return try Response.json(outcome)
    }

    private func remove(_ change: Change, _ context: PortalContext) async throws -> Response {
        do {
            let name = context.principal?.name ?? ""
            let revision = try await portal.switchboard.commit([change], by: name, why: "API")
            return try Response.json(["revision": revision])
        } catch let error as ChangeError {
            guard case .unknown = error.problem else { throw error }
            throw APIError.notFound(error.sentence)
        }
    }
}

/// A part of a list.
struct Page<Item: Encodable>: Encodable {
    let items: [Item]
    let total: Int
}
