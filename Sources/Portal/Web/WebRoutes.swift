internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import Policy

/// The pages of the web admin.
struct WebRoutes {
    let portal: Portal

    func add(to router: Router<PortalContext>) {
        router.get("/assets/portal.css") { _, _ in
            Self.asset(StyleSheet.text, type: "text/css; charset=utf-8")
        }
        router.get("/assets/icon.svg") { _, _ in Self.asset(Self.icon, type: "image/svg+xml") }
        SignInRoutes(portal: portal).add(to: router)
        let pages = router.group("/").add(middleware: SessionGate(store: portal.store))
        pages.get("/", use: overview)
        pages.post("/sign-out", use: signOut)
        ResourceRoutes(portal: portal).add(to: pages)
        PolicyRoutes(portal: portal).add(to: pages)
        DeviceRoutes(portal: portal).add(to: pages)
        RelayRoutes(portal: portal).add(to: pages)
        ActivityRoutes(portal: portal).add(to: pages)
    }

    private static func asset(_ text: String, type: String) -> Response {
        var response = Response.text(text, type: type)
        response.headers[.cacheControl] = "public, max-age=31536000, immutable"
        return response
    }

    private static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#0a655c" \
        stroke-width="3" stroke-linecap="round"><path d="M3 27V18a13 13 0 0 1 26 0v9"/>\
        <path d="M10 27v-8.500a6 6 0 0 1 12 0V27"/></svg>
        """

    private func overview(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/", request, context)
        let status = await portal.switchboard.status
        let sites = await portal.switchboard.siteRows
        let resources = await portal.switchboard.resourceRows
        let last = try await portal.store.audit(matching: "", offset: 0, count: 1).rows.first
        let relays = await portal.switchboard.relayRows
        let issues = Issues.found(sites: sites, resources: resources, relays: relays)
        return frame.response(
            "overview",
            title: "Overview",
            [
                "revision": status.revision,
                "lastChange": last.map { PageTime.ago($0.at) },
                "counts": Self.counts(status),
                "hasIssues": !issues.isEmpty,
                "issues": issues.map(\.values),
                "isNew": sites.isEmpty,
                "hasSites": !sites.isEmpty,
                "sites": sites.map(\.values),
            ]
        )
    }

    private static func counts(_ status: PortalStatus) -> [[String: Any]] {
        [
            (
                "\(status.clientsOnline)", "of \(status.clients) clients online",
                "/clients?sort=state"
            ),
            ("\(status.gatewaysOnline)", "of \(status.gateways) gateways online", "/sites"),
            ("\(status.relaysOnline)", "of \(status.relays) relays online", "/relays"),
            ("\(status.leases)", "live leases", "/activity"),
            ("\(status.resources)", "resources", "/resources"),
            ("\(status.policies)", "policies", "/policies"),
        ].map { ["number": $0.0, "label": $0.1, "href": $0.2] }
    }

    private func signOut(_ request: Request, _ context: PortalContext) async throws -> Response {
        _ = try await Form.read(request, context)
        if let secret = request.cookies[SessionGate.cookie]?.value {
            try await portal.store.closeSession(secret)
        }
        var response = Response.seeOther("/sign-in")
        response.setCookie(SessionGate.cookie, "", lifetime: 0)
        return response
    }
}

extension Portal {
    /// The frame of a page for who is signed in.
    func frame(
        _ section: String,
        _ request: Request,
        _ context: PortalContext
    ) async throws -> PageFrame {
        guard let session = context.session else { throw Form.forged }
        return PageFrame(
            account: await switchboard.directory.account,
            session: session,
            section: section,
            notice: Notices.sentence(request)
        )
    }
}

extension SiteRow {
    fileprivate var values: [String: Any] {
        let isFine = online > 0
        return [
            "name": name, "online": online, "known": gateways, "resources": resources,
            "level": isFine ? "good" : resources == 0 ? "warn" : "bad",
            "word": isFine ? "online" : gateways == 0 ? "no gateway yet" : "offline",
        ]
    }
}

/// What is wrong now, worst first.
struct Issues {
    /// Bounds of the list.
    enum Limits {
        /// Issues shown.
        static let count = 8
    }

    let level: String
    let word: String
    let title: String
    let advice: String

    static func found(
        sites: [SiteRow],
        resources: [ResourceRow],
        relays: [RelayRow]
    ) -> [Issues] {
        var issues: [Issues] = []
        for site in sites where site.online == 0 && site.resources > 0 {
            let count = "\(site.resources) resource\(site.resources == 1 ? "" : "s")"
            issues.append(
                Issues(
                    level: "bad",
                    word: "offline",
                    title: "No gateway of \(site.name) is connected",
                    advice: site.gateways == 0
                        ? "Make a token with “culvert token --site \(site.name)” and start a gateway with it."
                        : "\(count) cannot be reached; look at the gateway’s machine and its network."
                )
            )
        }
        // A portal without sites has something else to begin with.
        if !sites.isEmpty { issues += found(relays) }
        for resource in resources where resource.policies == 0 {
            issues.append(
                Issues(
                    level: "warn",
                    word: "unused",
                    title: "Nobody may reach \(resource.name)",
                    advice: "Let a group reach it with a policy, or delete it."
                )
            )
        }
        return Array(issues.prefix(Limits.count))
    }

    private static func found(_ relays: [RelayRow]) -> [Issues] {
        guard !relays.contains(where: \.isOnline) else {
            return relays.filter { $0.problem != nil }.map { relay in
                Issues(
                    level: "warn",
                    word: "relay",
                    title: "The relay \(relay.name) has a problem",
                    advice: relay.problem ?? ""
                )
            }
        }
        guard !relays.isEmpty else {
            return [
                Issues(
                    level: "warn",
                    word: "no relay",
                    title: "There is no relay",
                    advice: "People in networks that let no direct path through cannot connect; "
                        + "make a token with “culvert token --relay NAME” and start one."
                )
            ]
        }
        return [
            Issues(
                level: "bad",
                word: "no relay",
                title: "No relay can be reached",
                advice: relays.lazy.compactMap(\.problem).first
                    ?? "People in networks that let no direct path through cannot connect; look "
                    + "at the relays’ machines."
            )
        ]
    }

    var values: [String: Any] {
        ["level": level, "word": word, "title": title, "advice": advice]
    }
}
