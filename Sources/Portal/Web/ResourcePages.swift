/// Pages for what is protected.
enum ResourcePages {
    static let sources = [("resources", list), ("resource", form), ("delete", delete)]

    private static let list = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Resources</h1>
        <p>What people can be given access to: names, networks, or the whole internet.</p></div>
        {{#hasSites}}<a class="button primary" href="/resources/new">New \
        resource</a>{{/hasSites}}</div>
        {{#list.isEmpty}}
        <div class="card empty">
        {{#hasSites}}<h2>No resources yet</h2><p>Add the first one: a name such as \
        git.example.com, a \
        pattern such as *.example.com, or a network such as 10.0.0.0/8. Then let a group reach it \
        with \
        a policy.</p><a class="button primary" href="/resources/new">New resource</a>{{/hasSites}}
        {{^hasSites}}<h2>First, a site</h2><p>A resource lies in a site, and there is none yet. \
        Add a \
        site to your configuration file and apply it:</p>
        <pre>sites:
          - name: headquarters</pre>{{/hasSites}}
        </div>
        {{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No resource has \
        “{{list.query}}” in its name, address or site.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#list.columns}}<th scope="col"{{#order}} aria-sort="{{order}}"{{/order}}>\
        <a href="{{href}}">{{label}}{{#mark}} {{mark}}{{/mark}}</a></th>{{/list.columns}}
        <th scope="col">Lets through</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row"><a href="{{href}}">{{name}}</a></th>
        <td data-label="Address"><code>{{address}}</code>{{#alias}}<br><span class="small \
        muted">as \
        <code>{{alias}}</code></span>{{/alias}}</td>
        <td data-label="Site">{{site}} <span class="pill {{level}}">{{word}}</span></td>
        <td data-label="Lets through">{{#filters}}<span class="tag">{{.}}</span>{{/filters}}\
        {{^filters}}<span class="muted">everything</span>{{/filters}}</td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """

    private static let form = """
        {{<layout}}{{$content}}
        <div class="head"><div><p class="crumb"><a href="/resources">Resources</a></p>
        <h1>{{heading}}</h1></div></div>
        <form class="card narrow" method="post" action="{{action}}">
        {{#fault}}<div class="note bad" role="alert"><p>{{fault}}</p></div>{{/fault}}
        {{>csrf}}
        <div class="field"><label for="name">Name</label>
        <input id="name" name="name" value="{{values.name}}" required maxlength="128"\
        {{#faults.name}} aria-invalid="true" aria-describedby="name-fault"{{/faults.name}}>
        {{#faults.name}}<p class="fault" id="name-fault">{{faults.name}}</p>{{/faults.name}}
        <p class="hint">What people call it, such as Git.</p></div>
        <div class="field"><label for="address">Address</label>
        <input id="address" name="address" value="{{values.address}}" required \
        autocapitalize="off" \
        spellcheck="false"{{#faults.address}} aria-invalid="true" aria-describedby="address-fault"\
        {{/faults.address}}>
        {{#faults.address}}<p class="fault" \
        id="address-fault">{{faults.address}}</p>{{/faults.address}}
        <p class="hint">git.example.com, *.example.com, 10.1.2.3, 10.0.0.0/8, or internet.</p></div>
        <div class="field"><label for="site">Site</label>
        <select id="site" name="site"{{#faults.site}} aria-invalid="true"{{/faults.site}}>
        {{#sites}}<option{{#isChosen}} selected{{/isChosen}}>{{name}}</option>{{/sites}}</select>
        {{#faults.site}}<p class="fault">{{faults.site}}</p>{{/faults.site}}</div>
        <div class="row">
        <div class="field"><label for="allow">Lets through</label>
        <input id="allow" name="allow" value="{{values.allow}}" placeholder="everything" \
        autocapitalize="off" spellcheck="false"{{#faults.allow}} aria-invalid="true" \
        aria-describedby="allow-fault"{{/faults.allow}}>
        {{#faults.allow}}<p class="fault" id="allow-fault">{{faults.allow}}</p>{{/faults.allow}}
        <p class="hint">Such as tcp/443, udp/8000-8010, icmp; empty means everything.</p></div>
        <div class="field"><label for="family">Answered in</label>
        <select id="family" name="family">
        {{#families}}<option value="{{value}}"{{#isChosen}} \
        selected{{/isChosen}}>{{label}}</option>\
        {{/families}}</select>
        <p class="hint">Names only.</p></div>
        </div>
        <div class="field"><label for="alias">Alias</label>
        <input id="alias" name="alias" value="{{values.alias}}" autocapitalize="off" \
        spellcheck="false"\
        {{#faults.alias}} aria-invalid="true" aria-describedby="alias-fault"{{/faults.alias}}>
        {{#faults.alias}}<p class="fault" id="alias-fault">{{faults.alias}}</p>{{/faults.alias}}
        <p class="hint">Another name under which people ask for it; empty means the same.</p></div>
        <div class="actions"><button class="button primary">{{button}}</button>
        <a class="button" href="/resources">Cancel</a>
        {{#deleteHref}}<a class="button danger push" \
        href="{{deleteHref}}">Delete…</a>{{/deleteHref}}
        </div>
        </form>
        {{#hasPolicies}}<section class="card narrow"><h2>Who may reach it</h2><ul>
        {{#policies}}<li><a href="{{href}}">{{group}}</a>{{#when}} <span \
        class="muted">{{when}}</span>\
        {{/when}}</li>{{/policies}}</ul></section>{{/hasPolicies}}
        {{/content}}{{/layout}}
        """

    private static let delete = """
        {{<layout}}{{$content}}
        <div class="head"><div><p class="crumb"><a href="{{back}}">{{backLabel}}</a></p>
        <h1>Delete {{what}}?</h1></div></div>
        <form class="card narrow" method="post" action="{{action}}">
        {{#fault}}<div class="note bad" role="alert"><p>{{fault}}</p></div>{{/fault}}
        {{>csrf}}
        <p>{{consequence}}</p>
        <div class="actions"><button class="button danger">Delete</button>
        <a class="button" href="{{back}}">Cancel</a></div>
        </form>
        {{/content}}{{/layout}}
        """
}
