/// Pages for groups and who is in them.
enum PeoplePages {
    static let sources = [("people", list), ("group", form)]

    private static let list = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>People</h1><p>Groups of people and service accounts; policies \
        let \
        groups reach resources.</p></div>
        <a class="button primary" href="/people/new">New group</a></div>
        {{#list.isEmpty}}<div class="card empty"><h2>No groups yet</h2><p>Make the first one, and \
        put \
        people in it by their e-mail addresses.</p>
        <a class="button primary" href="/people/new">New group</a></div>{{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No group has \
        “{{list.query}}” in its name or among its members.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#list.columns}}<th scope="col"{{#order}} aria-sort="{{order}}"{{/order}}>\
        <a href="{{href}}">{{label}}{{#mark}} {{mark}}{{/mark}}</a></th>{{/list.columns}}
        <th scope="col">Policies</th></tr></thead><tbody>
        {{#rows}}<tr><th scope="row"><a href="{{href}}">{{name}}</a></th>
        <td data-label="Members">{{members}}</td><td \
        data-label="Policies">{{policies}}</td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """

    private static let form = """
        {{<layout}}{{$content}}
        <div class="head"><div><p class="crumb"><a href="/people">People</a></p>
        <h1>{{heading}}</h1></div></div>
        <form class="card narrow" method="post" action="{{action}}">
        {{>csrf}}
        <div class="field"><label for="name">Name</label>
        <input id="name" name="name" value="{{name}}" required maxlength="128"{{#faults.name}} \
        aria-invalid="true" aria-describedby="name-fault"{{/faults.name}}>
        {{#faults.name}}<p class="fault" id="name-fault">{{faults.name}}</p>{{/faults.name}}</div>
        <div class="field"><label for="members">Members</label>
        <textarea id="members" name="members" rows="8" autocapitalize="off" spellcheck="false"\
        {{#faults.members}} aria-invalid="true" \
        aria-describedby="members-fault"{{/faults.members}}>\
        {{members}}</textarea>
        {{#faults.members}}<p class="fault" \
        id="members-fault">{{faults.members}}</p>{{/faults.members}}
        <p class="hint">One e-mail address or service account a line. Who is new need not have \
        signed \
        in yet.</p></div>
        <div class="actions"><button class="button primary">{{button}}</button>
        <a class="button" href="/people">Cancel</a></div>
        </form>
        {{/content}}{{/layout}}
        """
}
