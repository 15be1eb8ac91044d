/// The first page: how things are, and what is wrong now.
enum OverviewPage {
    static let sources = [("overview", overview)]

    private static let overview = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Overview</h1>
        <p>Revision {{revision}}{{#lastChange}}, last changed \
        {{lastChange}}{{/lastChange}}.</p></div></div>
        <div class="grid">
        {{#counts}}<a class="stat" \
        href="{{href}}"><b>{{number}}</b><span>{{label}}</span></a>{{/counts}}
        </div>
        <section class="card" aria-labelledby="now"><h2 id="now">What needs attention</h2>
        {{#hasIssues}}<ul class="issues">
        {{#issues}}<li><span class="pill {{level}}">{{word}}</span><div><p><b>{{title}}</b></p>
        <p class="muted">{{advice}}</p></div></li>{{/issues}}
        </ul>{{/hasIssues}}
        {{^hasIssues}}<p class="muted">Nothing. Every site has a gateway online, a relay helps \
        where it must, and every resource can be reached by somebody.</p>{{/hasIssues}}
        </section>
        {{#isNew}}
        <section class="card"><h2>Getting started</h2>
        <p>Describe sites, resources, groups and policies in a file, and make the portal match \
        it:</p>
        <pre>account: Example
        sites:
          - name: headquarters
        resources:
          - name: Git
            address: git.example.com
            site: headquarters
            allow: [tcp/443, tcp/22]
        groups:
          - name: Engineering
            members: [ada@example.com]
        policies:
          - group: Engineering
            resource: Git</pre>
        <pre>culvert apply -f example.yaml</pre>
        <p>Then make a token for the site’s gateway, and one for each client:</p>
        <pre>culvert token --site headquarters &gt; gateway.token
        culvert token --client ada@example.com &gt; client.token</pre>
        </section>
        {{/isNew}}
        <section class="card"><h2>Sites</h2>
        {{#hasSites}}<div class="sheet"><table><thead><tr><th scope="col">Site</th>
        <th scope="col">Gateways online</th><th scope="col">Resources</th><th scope="col">State</th>
        </tr></thead><tbody>
        {{#sites}}<tr><th scope="row">{{name}}</th><td data-label="Gateways">{{online}} of \
        {{known}}</td>
        <td data-label="Resources">{{resources}}</td>
        <td data-label="State"><span class="pill {{level}}">{{word}}</span></td></tr>{{/sites}}
        </tbody></table></div>{{/hasSites}}
        {{^hasSites}}<p class="muted">There are no sites yet. A site is a set of gateways that \
        can all \
        reach the same resources.</p>{{/hasSites}}
        </section>
        {{/content}}{{/layout}}
        """
}
