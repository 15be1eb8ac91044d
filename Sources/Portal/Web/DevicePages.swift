/// Pages for the devices that people use.
enum DevicePages {
    static let sources = [("clients", clients), ("sites", sites), ("tokens", tokens)]

    private static let clients = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Clients</h1><p>Devices that have connected to this \
        portal.</p></div></div>
        {{#list.isEmpty}}
        <div class="card empty"><h2>No clients yet</h2><p>Make a token for a person or a service, \
        and \
        start a client with it:</p>
        <pre>culvert token --client ada@example.com &gt; client.token
        culvert client --token-file client.token</pre></div>
        {{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No client has \
        “{{list.query}}” in its name, owner or address.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#list.columns}}<th scope="col"{{#order}} aria-sort="{{order}}"{{/order}}>\
        <a href="{{href}}">{{label}}{{#mark}} {{mark}}{{/mark}}</a></th>{{/list.columns}}
        <th scope="col">Tunnel addresses</th><th scope="col">Verified</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row">{{name}}<br><span class="small muted">{{software}}</span></th>
        <td data-label="Owner">{{actor}}</td>
        <td data-label="State"><span class="pill {{level}}">{{word}}</span> \
        <span class="small muted">{{seen}}</span></td>
        <td data-label="Addresses"><code>{{tunnel}}</code></td>
        <td data-label="Verified"><form method="post" action="{{verifyAction}}">{{>csrf}}\
        <button class="button small">{{verifyLabel}}<span class="visually-hidden"> \
        {{name}}</span></button>\
        </form></td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """

    private static let sites = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Sites</h1><p>A site is a set of gateways that can all reach \
        the same \
        resources.</p></div></div>
        {{#sites}}
        <section class="card"><h2>{{name}} <span class="pill {{level}}">{{word}}</span></h2>
        {{#hasGateways}}<div class="sheet"><table><thead><tr><th scope="col">Gateway</th>
        <th scope="col">State</th><th scope="col">Clients</th><th scope="col">Tunnel \
        addresses</th><th scope="col">Service</th></tr>
        </thead><tbody>
        {{#gateways}}<tr><th scope="row">{{name}}<br><span class="small \
        muted">{{software}}</span></th>
        <td data-label="State"><span class="pill {{level}}">{{word}}</span> \
        <span class="small muted">{{seen}}</span>\
        {{#unreached}}<br><span class="small">does not reach {{unreached}}</span>{{/unreached}}\
        </td><td data-label="Clients">{{clients}}</td>
        <td data-label="Addresses"><code>{{tunnel}}</code></td>
        <td data-label="Service"><form method="post" action="{{drainAction}}">{{>csrf}}\
        <button class="button small">{{drainLabel}}<span class="visually-hidden"> {{name}}\
        </span></button></form></td></tr>{{/gateways}}
        </tbody></table></div>{{/hasGateways}}
        {{^hasGateways}}<p class="muted">No gateway has connected yet. Make a token, and start \
        one with \
        it:</p><pre>culvert token --site "{{name}}" &gt; gateway.token
        culvert gateway --token-file gateway.token</pre>{{/hasGateways}}
        </section>
        {{/sites}}
        {{^sites}}<div class="card empty"><h2>No sites yet</h2><p>Begin with the first one: an \
        office, a \
        data centre, a cloud network.</p></div>{{/sites}}
        <form class="card narrow" method="post" action="/sites">
        <h2>New site</h2>{{>csrf}}
        <div class="field"><label for="name">Name</label>
        <input id="name" name="name" value="{{value}}" required maxlength="128"{{#fault}} \
        aria-invalid="true" aria-describedby="name-fault"{{/fault}}>
        {{#fault}}<p class="fault" id="name-fault">{{fault}}</p>{{/fault}}</div>
        <button class="button primary">Create site</button>
        </form>
        {{/content}}{{/layout}}
        """

    private static let tokens = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Tokens</h1><p>What gateways, clients and programs start from. \
        Only \
        a hash is kept, so a token is shown once.</p></div></div>
        {{#made}}<section class="card"><h2>The token for {{made.name}}</h2><p>Copy it now; it is \
        not \
        shown again.</p><pre class="break">{{made.token}}</pre></section>{{/made}}
        {{#hasRows}}<div class="sheet"><table><thead><tr><th scope="col">For</th><th \
        scope="col">Kind</th>
        <th scope="col">Made</th><th scope="col">State</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row">{{name}}</th><td data-label="Kind">{{kind}}</td>
        <td data-label="Made">{{madeAt}}<br><span class="small muted">by {{by}}</span></td>
        <td data-label="State">{{#action}}<form method="post" action="{{action}}">{{>csrf}}\
        <button class="button small danger">Revoke<span class="visually-hidden"> the token for \
        {{name}}\
        </span></button></form>{{/action}}{{^action}}<span \
        class="pill">revoked</span>{{/action}}</td></tr>
        {{/rows}}</tbody></table></div><p></p>{{/hasRows}}
        <form class="card narrow" method="post" action="/tokens">
        <h2>New token</h2>{{>csrf}}
        {{#fault}}<div class="note bad" role="alert"><p>{{fault}}</p></div>{{/fault}}
        <div class="row"><div class="field"><label for="kind">For</label><select id="kind" \
        name="kind">
        <option value="gateway">a gateway</option><option value="client">a client</option>
        <option value="relay">a relay</option>
        <option value="api">a program that uses the API</option></select></div>
        <div class="field"><label for="name">Name</label><input id="name" name="name" required \
        maxlength="128" autocapitalize="off"><p class="hint">The site of a gateway, the e-mail \
        address of \
        a person, or what people call it.</p></div></div>
        <button class="button primary">Make token</button>
        </form>
        {{/content}}{{/layout}}
        """
}
