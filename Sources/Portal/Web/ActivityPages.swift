/// Pages for who did what.
enum ActivityPages {
    static let sources = [("activity", activity)]

    private static let activity = """
        {{<layout}}{{$content}}
        <div class="head"><div><h1>Activity</h1><p>{{about}}</p></div></div>
        <nav class="tabs" aria-label="Kinds of activity">
        <a href="/activity"{{#isReached}} aria-current="page"{{/isReached}}>Who reached what</a>
        <a href="/activity/flows"{{#isFlows}} aria-current="page"{{/isFlows}}>Which connections \
        ended</a>
        <a href="/activity/changes"{{#isChanges}} aria-current="page"{{/isChanges}}>Who changed \
        what</a>
        </nav>
        {{#list.isEmpty}}<div class="card empty"><h2>Nothing has happened yet</h2>
        <p>{{emptySentence}}</p></div>{{/list.isEmpty}}
        {{^list.isEmpty}}
        {{>search}}
        {{#list.isNothingFound}}<div class="card empty"><h2>Nothing found</h2><p>No entry has \
        “{{list.query}}” in it.</p></div>{{/list.isNothingFound}}
        {{^list.isNothingFound}}
        <div class="sheet"><table><thead><tr>
        {{#headings}}<th scope="col">{{.}}</th>{{/headings}}</tr></thead><tbody>
        {{#rows}}<tr><td data-label="When" class="nowrap"><time \
        datetime="{{time}}">{{when}}</time></td>
        <td data-label="Who">{{who}}</td>
        <td data-label="What">{{#word}}<span class="pill {{level}}">{{word}}</span> \
        {{/word}}{{what}}\
        {{#detail}}<br><span class="small muted">{{detail}}</span>{{/detail}}</td></tr>{{/rows}}
        </tbody></table></div>
        {{>pages}}
        {{/list.isNothingFound}}
        {{/list.isEmpty}}
        {{/content}}{{/layout}}
        """
}
