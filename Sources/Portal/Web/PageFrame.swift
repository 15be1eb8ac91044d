internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// What every page of a signed-in administrator shows around its content.
struct PageFrame {
    let account: String
    let session: WebSession
    /// The path of the page's entry in the navigation.
    let section: String
    /// What was just done.
    var notice: String?

    private static let sections = [
        ("/", "Overview"), ("/resources", "Resources"), ("/policies", "Policies"),
        ("/sites", "Sites"), ("/people", "People"), ("/clients", "Clients"), ("/relays", "Relays"),
        ("/tokens", "Tokens"),
        ("/activity", "Activity"),
    ]

    /// A page of `template` with `values`.
    func response(
        _ template: String,
        title: String,
        _ values: [String: Any?],
        status: HTTPResponse.Status = .ok
    ) -> Response {
        var all: [String: Any] = [
            "title": title,
            "account": account.isEmpty ? "Portal" : account,
            "who": session.email,
            "formKey": session.formKey,
            "styleVersion": StyleSheet.version,
            "navigation": Self.sections.map { path, label in
                ["href": path, "label": label, "isCurrent": path == section] as [String: Any]
            },
        ]
        if let notice { all["notice"] = notice }
        for (name, value) in values.present { all[name] = value }
        return .html(Templates.render(template, all), status: status)
    }
}

/// What was done, by the word in the address after it; only these are ever shown.
enum Notices {
    private static let sentences = [
        "created": "Created.", "saved": "Saved.", "deleted": "Deleted.",
        "verified": "The device counts as verified.",
        "drained": "The gateway takes nobody new; its clients move as their connections end.",
        "undrained": "The gateway takes new clients again.",
        "unverified": "The device does not count as verified any more.",
        "revoked": "The token was revoked; what it had opened is closed.",
    ]

    static func sentence(_ request: Request) -> String? {
        sentences[Form.query(of: request)["done"]]
    }
}

/// A page with one message, for people who are not signed in, or when something failed.
enum MessagePage {
    static func response(_ error: APIError) -> Response {
        let isMissing = error.status == .notFound
        let isSignedOut = error.status == .unauthorized
        return .html(
            Templates.render(
                "message",
                [
                    "title": isMissing
                        ? "Not found" : isSignedOut ? "Signed out" : "That did not work",
                    "sentence": error.refusal.sentence,
                    "href": isSignedOut ? "/sign-in" : "/",
                    "label": isSignedOut ? "Sign in" : "To the overview",
                    "styleVersion": StyleSheet.version,
                ]
            ),
            status: error.status
        )
    }
}

extension Response {
    /// A page.
    static func html(_ text: String, status: HTTPResponse.Status = .ok) -> Response {
        .text(text, type: "text/html; charset=utf-8", status: status)
    }
}

extension [String: Any?] {
    /// Without values that are missing or empty texts, which templates would take for something.
    var present: [String: Any] {
        compactMapValues { value in
            if let text = value as? String, text.isEmpty { return nil }
            return value
        }
    }
}

/// Moments as people read them.
enum PageTime {
    /// `2026-06-01 09:00:00 UTC`.
    static func exact(_ date: Date) -> String {
        let text = date.formatted(.iso8601)
        return text.map { $0 == "T" ? " " : String($0) }.joined().replacing("Z", with: " UTC")
    }

    /// `3 minutes ago`.
    static func ago(_ date: Date, now: Date = .now) -> String {
        let seconds = Int(max(0, now.timeIntervalSince(date)))
        let (count, unit) =
            seconds < 60
            ? (seconds, "second")
            : seconds < 3_600
                ? (seconds / 60, "minute")
                : seconds < 86_400 ? (seconds / 3_600, "hour") : (seconds / 86_400, "day")
        return "\(count) \(unit)\(count == 1 ? "" : "s") ago"
    }
}
