/// Pages for who may reach what, and why.
enum PolicyPages {
    static let sources = [("policies", list), ("policy", form), ("explain", explain)]

    private static let list = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Policies</h1>
        <p>A policy lets a group reach a resource, under conditions. Without one, nobody reaches \
        anything.</p></div>
        <div class="actions"><a class="button" href="/policies/explain">Explain a decision</a>
        {{#canCreate}}<a class="button primary" href="/policies/new">New \
        policy</a>{{/canCreate}}</div></div>
        {{#list.isEmpty}}
        <div class="card empty"><h2>No policies yet</h2>
        {{#canCreate}}<p>Nobody can reach anything. Let a group reach a resource.</p>
        <a class="button primary" href="/policies/new">New policy</a>{{/canCreate}}
        {{^canCreate}}<p>A policy needs a group and a resource. Add both to your configuration \
        file and \
        apply it:</p>
        <pre>groups:
          - name: Engineering
            members: [ada@example.com]</pre>{{/canCreate}}</div>
        {{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No policy has \
        “{{list.query}}” in its group or resource.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#list.columns}}<th scope="col"{{#order}} aria-sort="{{order}}"{{/order}}>\
        <a href="{{href}}">{{label}}{{#mark}} {{mark}}{{/mark}}</a></th>{{/list.columns}}
        <th scope="col">When</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row"><a href="{{href}}">{{group}}</a></th>
        <td data-label="Resource">{{resource}}</td>
        <td data-label="When">{{#when}}{{.}}<br>{{/when}}{{^when}}<span class="muted">always</span>\
        {{/when}}</td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """

    private static let form = """
        {{<layout}}{{$content}}
        <div class="head"><div><p class="crumb"><a href="/policies">Policies</a></p>
        <h1>{{heading}}</h1></div></div>
        {{#warnings}}<div class="note warn narrow" role="status"><p>{{.}}</p></div>{{/warnings}}
        <form class="card narrow" method="post" action="{{action}}">
        {{#fault}}<div class="note bad" role="alert"><p>{{fault}}</p></div>{{/fault}}
        {{>csrf}}
        <div class="row">
        <div class="field"><label for="group">Group</label><select id="group" name="group">
        {{#groups}}<option{{#isChosen}} selected{{/isChosen}}>{{name}}</option>{{/groups}}</select>
        {{#faults.group}}<p class="fault">{{faults.group}}</p>{{/faults.group}}</div>
        <div class="field"><label for="resource">may reach</label>
        <select id="resource" name="resource">
        {{#resources}}<option{{#isChosen}} \
        selected{{/isChosen}}>{{name}}</option>{{/resources}}</select>
        {{#faults.resource}}<p class="fault">{{faults.resource}}</p>{{/faults.resource}}</div>
        </div>
        <h2>When</h2><p class="hint">All that is filled in must hold; empty fields ask nothing.</p>
        <div class="row">
        {{#conditions}}
        <div class="field"><label for="{{name}}">{{label}}</label>
        <input id="{{name}}" name="{{name}}" value="{{value}}" autocapitalize="off" \
        spellcheck="false" \
        aria-describedby="{{name}}-hint"{{#fault}} aria-invalid="true"{{/fault}}>
        {{#fault}}<p class="fault">{{fault}}</p>{{/fault}}
        <p class="hint" id="{{name}}-hint">{{hint}}</p></div>
        {{/conditions}}
        </div>
        <label class="check"><input type="checkbox" name="verified" value="true"\
        {{#isVerified}} checked{{/isVerified}}> Only devices that an administrator has \
        verified</label>
        <div class="actions"><button class="button primary">{{button}}</button>
        <a class="button" href="/policies">Cancel</a>
        {{#deleteHref}}<a class="button danger push" \
        href="{{deleteHref}}">Delete…</a>{{/deleteHref}}
        </div>
        </form>
        {{/content}}{{/layout}}
        """

    private static let explain = """
        {{<layout}}{{$content}}
        <div class="head"><div><p class="crumb"><a href="/policies">Policies</a></p>
        <h1>Explain a decision</h1><p>May somebody reach something, and why? Nothing is changed \
        and \
        nobody is told.</p></div></div>
        <form class="card narrow" method="get" action="/policies/explain">
        <div class="row">
        <div class="field"><label for="who">Who</label>
        <input id="who" name="who" value="{{values.who}}" list="people" \
        placeholder="ada@example.com" \
        autocapitalize="off" spellcheck="false" required></div>
        <div class="field"><label for="reach">What</label>
        <input id="reach" name="reach" value="{{values.reach}}" placeholder="git.example.com:443" \
        autocapitalize="off" spellcheck="false" required></div>
        <div class="field"><label for="from">From address</label>
        <input id="from" name="from" value="{{values.from}}" placeholder="any" \
        autocapitalize="off" \
        spellcheck="false"></div>
        <div class="field"><label for="at">At</label>
        <input id="at" name="at" value="{{values.at}}" placeholder="now" \
        spellcheck="false" aria-describedby="at-hint"><p class="hint" id="at-hint">Such as \
        2026-06-01T09:00:00+02:00; empty means now.</p></div>
        </div>
        <div class="actions"><button class="button primary">Explain</button></div>
        </form>
        {{#fault}}<div class="note bad narrow" role="alert"><p>{{fault}}</p></div>{{/fault}}
        {{#answer}}
        <section class="card narrow" aria-live="polite">
        <p class="verdict"><span class="pill {{level}}">{{word}}</span> {{sentence}}</p>
        {{#hasFacts}}<dl class="facts">{{#facts}}<dt>{{label}}</dt><dd>{{value}}</dd>{{/facts}}</dl>
        {{/hasFacts}}
        {{#hasFailed}}<h2>What was not \
        met</h2><ul>{{#failed}}<li>{{.}}</li>{{/failed}}</ul>{{/hasFailed}}
        </section>
        {{/answer}}
        {{/content}}{{/layout}}
        """
}
