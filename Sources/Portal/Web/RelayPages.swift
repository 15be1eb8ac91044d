internal import Control
internal import Foundation
internal import Hummingbird

/// The page for relays.
enum RelayPages {
    static let sources = [("relays", relays)]

    private static let relays = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Relays</h1><p>They carry packets, encrypted from end to end, \
        where two networks let no direct path through.</p></div></div>
        {{#list.isEmpty}}
        <div class="card empty"><h2>No relays yet</h2><p>Without one, people in strict networks \
        cannot connect. Make a token, and start a relay with it on a machine with a public \
        address:</p>
        <pre>culvert token --relay amsterdam &gt; relay.token
        culvert relay --token-file relay.token</pre>
        <p>A stock TURN server with a shared secret serves too; name it in the configuration:</p>
        <pre>relays:
          - name: amsterdam
            address: turn.example.com
            secret_file: /etc/culvert/turn-secret</pre></div>
        {{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No relay has \
        “{{list.query}}” in its name, region or address.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#list.columns}}<th scope="col"{{#order}} aria-sort="{{order}}"{{/order}}>\
        <a href="{{href}}">{{label}}{{#mark}} {{mark}}{{/mark}}</a></th>{{/list.columns}}
        <th scope="col">Addresses</th><th scope="col">Round trip</th><th \
        scope="col">Allocations</th>\
        <th scope="col">Given to</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row">{{name}}<br><span class="small muted">{{software}}</span></th>
        <td data-label="State"><span class="pill {{level}}">{{word}}</span> \
        <span class="small muted">{{seen}}</span>{{#problem}}<br><span \
        class="small">{{problem}}</span>{{/problem}}</td>
        <td data-label="Region">{{region}}</td>
        <td data-label="Addresses">{{#addresses}}<code>{{.}}</code><br>{{/addresses}}</td>
        <td data-label="Round trip">{{roundTrip}}</td>
        <td data-label="Allocations">{{allocations}}</td>
        <td data-label="Given to">{{users}}</td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        <section class="card"><h2>One more</h2><p>Two relays in each region let one of them \
        fail.</p>
        <pre>culvert token --relay NAME &gt; relay.token
        culvert relay --token-file relay.token</pre></section>
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """
}

/// The page for relays, as a route.
struct RelayRoutes {
    let portal: Portal

    func add(to pages: RouterGroup<PortalContext>) { pages.get("/relays", use: relays) }

    private func relays(_ request: Request, _ context: PortalContext) async throws -> Response {
        let frame = try await portal.frame("/relays", request, context)
        let list = PageList(
            request,
            columns: [("name", "Relay"), ("state", "State"), ("region", "Region")]
        )
        let (rows, values) = list.cut(
            await portal.switchboard.relayRows,
            hint: "Relay, region or address"
        )
        return frame.response(
            "relays",
            title: "Relays",
            ["list": values, "rows": rows.map(\.values)]
        )
    }
}

extension RelayRow {
    fileprivate var values: [String: Any] {
        let all: [String: Any?] = [
            "name": name,
            "software": isStock ? "stock server" : software,
            "level": isOnline ? problem == nil ? "good" : "warn" : "bad",
            "word": isOnline ? "online" : "offline",
            "seen": lastSeen.map { PageTime.ago($0) },
            "problem": problem,
            "region": region,
            "addresses": addresses,
            "roundTrip": roundTripMilliseconds.map { "\($0) ms" } ?? "—",
            "allocations": allocations.map { "\($0)" } ?? "—",
            "users": users,
        ]
        return all.present
    }
}
