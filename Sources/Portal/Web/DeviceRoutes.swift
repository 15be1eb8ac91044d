internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import IP
internal import Policy

/// Pages for clients, sites with their gateways, tokens and people.
struct DeviceRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) {
        pages.get("/clients", use: clients)
        pages.post("/clients/:id/verify", use: verify)
        pages.get("/sites") { request, context in try await sites(request, context) }
        pages.post("/sites", use: makeSite)
        pages.post("/gateways/:id/drain") { request, context in
            try await drain(Switchboard.DrainLimits.seconds, request, context)
        }
        pages.post("/gateways/:id/undrain") { request, context in
            try await drain(nil, request, context)
        }
        pages.get("/tokens") { request, context in try await tokens(request, context) }
        pages.post("/tokens", use: makeToken)
        pages.post("/tokens/:id/revoke", use: revokeToken)
        PeopleRoutes(portal: portal).add(to: pages)
    }

    private func clients(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/clients", request, context)
        let list = PageList(
            request,
            columns: [("name", "Device"), ("actor", "Owner"), ("state", "State")]
        )
        let (rows, values) = list.cut(
            await portal.switchboard.clientRows,
            hint: "Device, owner or address"
        )
        return frame.response(
            "clients",
            title: "Clients",
            ["list": values, "rows": rows.map(\.values)]
        )
    }

    private func verify(_ request: Request, _ context: PortalContext) async throws -> Response {
        _ = try await Form.read(request, context)
        let id = ClientID(try context.parameters.require("id"))
        let directory = await portal.switchboard.directory
        let isVerified = !(directory.clients[id]?.device.isVerified ?? false)
        _ = try await portal.switchboard.setVerified(
            isVerified,
            client: id,
            by: context.principal?.name ?? ""
        )
        return .seeOther("/clients?done=\(isVerified ? "verified" : "unverified")")
    }

    private func sites(
        _ request: Request,
        _ context: PortalContext,
        value: String? = nil,
        fault: String? = nil
    ) async throws -> Response {
        let frame = try await portal.frame("/sites", request, context)
        let gateways = Dictionary(grouping: await portal.switchboard.gatewayRows, by: \.site)
        let rows = await portal.switchboard.siteRows.sorted { $0.name < $1.name }
        return frame.response(
            "sites",
            title: "Sites",
            [
                "sites": rows.isEmpty ? nil : rows.map { $0.values(gateways[$0.name] ?? []) },
                "value": value,
                "fault": fault,
            ],
            status: fault == nil ? .ok : .unprocessableContent
        )
    }

    private func makeSite(_ request: Request, _ context: PortalContext) async throws -> Response {
        let name = try await Form.read(request, context)["name"]
        var random = SystemRandomNumberGenerator()
        let site = Directory.Site(id: SiteID(using: &random), name: name)
        do {
            let who = context.principal?.name ?? ""
            try await portal.switchboard.commit([.upsertSite(site)], by: who, why: "web")
            return .seeOther("/sites?done=created")
        } catch let error as ChangeError {
            return try await sites(request, context, value: name, fault: error.sentence)
        }
    }

    private func drain(
        _ seconds: Double?,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> Response {
        _ = try await Form.read(request, context)
        _ = try await portal.switchboard.drain(
            try context.parameters.require("id"),
            within: seconds,
            by: context.principal?.name ?? ""
        )
        return .seeOther("/sites?done=\(seconds == nil ? "undrained" : "drained")")
    }

    private func tokens(
        _ request: Request,
        _ context: PortalContext,
        made: MadeToken? = nil,
        fault: String? = nil
    ) async throws -> Response {
        let frame = try await portal.frame("/tokens", request, context)
        let rows = await portal.switchboard.tokenRows
        return frame.response(
            "tokens",
            title: "Tokens",
            [
                "rows": rows.map(\.values),
                "hasRows": !rows.isEmpty,
                "made": made.map { ["name": $0.name, "token": $0.token] },
                "fault": fault,
            ],
            status: fault == nil ? .ok : .unprocessableContent
        )
    }

    private func makeToken(_ request: Request, _ context: PortalContext) async throws -> Response {
        let form = try await Form.read(request, context)
        do {
            let made = try await portal.switchboard.makeToken(
                TokenWish(kind: form["kind"], name: form["name"]),
                by: context.principal?.name ?? ""
            )
            return try await tokens(request, context, made: made)
        } catch let error as APIError {
            return try await tokens(request, context, fault: error.refusal.sentence)
        } catch let error as ChangeError {
            return try await tokens(request, context, fault: error.sentence)
        }
    }

    private func revokeToken(_ request: Request, _ context: PortalContext) async throws -> Response
    {
        _ = try await Form.read(request, context)
        let id = try context.parameters.require("id")
        try await portal.switchboard.revokeToken(id, by: context.principal?.name ?? "")
        return .seeOther("/tokens?done=revoked")
    }
}

extension ClientRow {
    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "name": name,
            "actor": actor,
            "software": software,
            "level": isOnline ? "good" : "",
            "word": isOnline ? "online" : "offline",
            "seen": isOnline ? remote?.description : lastSeen.map { PageTime.ago($0) },
            "tunnel": tunnel.map(\.description).joined(separator: " "),
            "verifyAction": "/clients/\(id)/verify",
            "verifyLabel": isVerified ? "Verified — undo" : "Verify",
        ]
        return all.present
    }
}

extension SiteRow {
    fileprivate func values(_ gateways: [GatewayRow]) -> [String: Any] {
        [
            "name": name,
            "level": online > 0 ? "good" : "bad",
            "word": online > 0 ? "online" : "offline",
            "hasGateways": !gateways.isEmpty,
            "gateways": gateways.map { gateway in
                let all: [String: Any?] = [
                    "name": gateway.name,
                    "software": gateway.software,
                    "level": gateway.isOnline ? gateway.isDraining ? "warn" : "good" : "bad",
                    "word": gateway.isOnline
                        ? gateway.isDraining ? "draining" : "online" : "offline",
                    "seen": gateway.isOnline ? nil : gateway.lastSeen.map { PageTime.ago($0) },
                    "clients": gateway.clients,
                    "unreached": gateway.unreached.isEmpty
                        ? nil : gateway.unreached.joined(separator: ", "),
                    "drainAction": "/gateways/\(gateway.id)/"
                        + (gateway.isDraining ? "undrain" : "drain"),
                    "drainLabel": gateway.isDraining ? "Take back" : "Drain",
                    "tunnel": gateway.tunnel.map(\.description).joined(separator: " "),
                ]
                return all.present
            },
        ]
    }
}

extension TokenRow {
    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "name": name,
            "kind": kind,
            "madeAt": PageTime.ago(createdAt),
            "by": createdBy,
            "action": revokedAt == nil ? "/tokens/\(id)/revoke" : nil,
        ]
        return all.present
    }
}
