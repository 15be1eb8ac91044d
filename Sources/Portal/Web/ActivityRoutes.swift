internal import Foundation
internal import Hummingbird

/// Pages that say who reached what, and who changed what.
struct ActivityRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) {
        pages.get("/activity", use: reached)
        pages.get("/activity/changes", use: changed)
        pages.get("/activity/flows", use: flowed)
    }

    /// What one of the pages shows.
    private struct Kind {
        let title: String
        let about: String
        /// The tab that it is, in the template.
        let tab: String
        let emptySentence: String
        /// What can be looked for.
        let hint: String
    }

    private static let reached = Kind(
        title: "Who reached what",
        about: "Each time somebody was let in, or was not; kept for "
            + "\(Int(Store.ActivityLimits.dayCount)) days.",
        tab: "isReached",
        emptySentence: "As soon as a client asks to reach a resource, it stands here.",
        hint: "Person, device, resource"
    )
    private static let flows = Kind(
        title: "Which connections ended",
        about: "What passed gateways that run with --flow-log portal; the last "
            + "\(Store.FlowLimits.count) of \(Int(Store.FlowLimits.dayCount)) days.",
        tab: "isFlows",
        emptySentence: "Start a gateway with --flow-log portal, and each connection "
            + "stands here when it has ended.",
        hint: "Person, device, resource, address"
    )
    private static let changes = Kind(
        title: "Who changed what",
        about: "Every change of the configuration, in the order in which it was made.",
        tab: "isChanges",
        emptySentence: "The first change of the configuration will stand here.",
        hint: "Person or thing"
    )

    private func reached(_ request: Request, _ context: PortalContext) async throws -> Response {
        try await page(Self.reached, request, context) { text, offset, count in
            let page = try await portal.store.activity(matching: text, offset: offset, count: count)
            return (page.rows.map(\.values), page.total)
        }
    }

    private func flowed(_ request: Request, _ context: PortalContext) async throws -> Response {
        try await page(Self.flows, request, context) { text, offset, count in
            let page = try await portal.store.flows(matching: text, offset: offset, count: count)
            return (page.rows.map(\.values), page.total)
        }
    }

    private func changed(_ request: Request, _ context: PortalContext) async throws -> Response {
        try await page(Self.changes, request, context) { text, offset, count in
            let page = try await portal.store.audit(matching: text, offset: offset, count: count)
            return (page.rows.map(\.values), page.total)
        }
    }

    /// A page of what `find` finds.
    private func page(
        _ kind: Kind,
        _ request: Request,
        _ context: PortalContext,
        find: (_ text: String, _ offset: Int, _ count: Int) async throws -> (
            rows: [[String: Any]], total: Int
        )
    ) async throws -> Response {
        let list = PageList(request, columns: [])
        let (text, offset, count) = list.window
        let found = try await find(text, offset, count)
        let frame = try await portal.frame("/activity", request, context)
        return frame.response(
            "activity",
            title: kind.title,
            [
                "about": kind.about,
                kind.tab: true,
                "emptySentence": kind.emptySentence,
                "headings": ["When", "Who", "What"],
                "rows": found.rows,
                "list": list.values(
                    shown: found.rows.count,
                    found: found.total,
                    all: text.isEmpty ? found.total : max(found.total, 1),
                    hint: kind.hint
                ),
            ]
        )
    }
}

extension Activity {
    fileprivate var values: [String: Any] {
        let date = Date(timeIntervalSince1970: at)
        let target = name.map { "\(resource) (\($0))" } ?? resource
        let way = gateway.map { "through \($0)" }
        let place = remote.map { "from \($0)" }
        let all: [String: Any?] = [
            "time": date.formatted(.iso8601),
            "when": PageTime.exact(date),
            "who": "\(actor) · \(client)",
            "word": isAllowed ? "allowed" : "denied",
            "level": isAllowed ? "good" : "bad",
            "what": target,
            "detail": [sentence, way, place].compactMap(\.self).joined(separator: " · "),
        ]
        return all.present
    }
}

extension KeptFlow {
    fileprivate var values: [String: Any] {
        let end = Date(timeIntervalSince1970: endedAt)
        let target = name.map { "\(resource) (\($0))" } ?? resource
        let seconds = String(format: "%.1f s", max(0, endedAt - startedAt))
        let traffic = "\(Self.size(bytesOut)) out, \(Self.size(bytesIn)) in"
        let all: [String: Any?] = [
            "time": end.formatted(.iso8601),
            "when": PageTime.exact(end),
            "who": person.isEmpty ? device : "\(person) · \(device)",
            "what": target,
            "detail": [
                "\(transport) to \(real)", traffic, seconds, "through \(gateway)", why,
            ].joined(separator: " · "),
        ]
        return all.present
    }

    private static func size(_ bytes: UInt64) -> String {
        Int64(clamping: bytes).formatted(.byteCount(style: .binary))
    }
}

extension Store.AuditLine {
    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "time": at.formatted(.iso8601),
            "when": PageTime.exact(at),
            "who": who,
            "what": summary,
            "detail": why.isEmpty ? "revision \(revision)" : "revision \(revision) · \(why)",
        ]
        return all.present
    }
}
