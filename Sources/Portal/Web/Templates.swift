internal import Mustache

/// The pages' templates, part of the program so that one static executable is all.
///
/// Every value is escaped by the template language; nothing here uses its unescaped form.
enum Templates {
    /// Renders `page` with `values`; a page that does not exist is a fault of the program.
    static func render(_ page: String, _ values: [String: Any]) -> String {
        library.render(values, withTemplate: page) ?? ""
    }

    /// Names of all pages, for the test that each can be read.
    static let names = sources.map(\.name)

    static let library = MustacheLibrary(
        templates: Dictionary(
            uniqueKeysWithValues: sources.compactMap { name, text in
                (try? MustacheTemplate(string: text)).map { (name, $0) }
            }
        )
    )

    private static let sources: [(name: String, text: String)] =
        Layout.sources + SignInPages.sources + OverviewPage.sources + ResourcePages.sources
        + PolicyPages.sources + DevicePages.sources + ActivityPages.sources
        + PeoplePages.sources + RelayPages.sources
}

/// What surrounds every page.
enum Layout {
    static let sources = [
        ("layout", page), ("alone", alone), ("head", head), ("logo", logo), ("pages", pages),
        ("message", message), ("search", search), ("csrf", csrf),
    ]

    private static let head = """
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>{{title}} · Culvert</title>
        <link rel="stylesheet" href="/assets/portal.css?{{styleVersion}}">
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
        """

    private static let logo = """
        <svg viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.4" \
        stroke-linecap="round" aria-hidden="true"><path d="M3 27V18a13 13 0 0 1 26 0v9"/>\
        <path d="M10 27v-8.500a6 6 0 0 1 12 0V27"/><path d="M1.500 27h29"/></svg>
        """

    private static let page = """
        <!doctype html>
        <html lang="en">
        <head>{{>head}}</head>
        <body>
        <a class="skip" href="#main">Skip to the content</a>
        <div class="shell">
        <header class="side">
        <a class="brand" href="/">{{>logo}}<span>Culvert<small>{{account}}</small></span></a>
        <nav class="nav" aria-label="Pages"><ul>
        {{#navigation}}
        <li><a href="{{href}}"{{#isCurrent}} aria-current="page"{{/isCurrent}}>{{label}}</a></li>
        {{/navigation}}
        </ul></nav>
        <div class="who"><span class="break">{{who}}</span>
        <form method="post" action="/sign-out">{{>csrf}}<button class="button small">Sign \
        out</button>
        </form></div>
        </header>
        <main class="main" id="main">
        {{#notice}}<div class="note good" role="status"><p>{{notice}}</p></div>{{/notice}}
        {{$content}}{{/content}}
        </main>
        </div>
        </body>
        </html>
        """

    private static let alone = """
        <!doctype html>
        <html lang="en">
        <head>{{>head}}</head>
        <body class="alone">
        <main>
        <div class="brand">{{>logo}}<span>Culvert</span></div>
        {{$content}}{{/content}}
        </main>
        </body>
        </html>
        """

    private static let message = """
        {{<alone}}{{$content}}
        <div class="card"><h1>{{title}}</h1><p></p><p>{{sentence}}</p>
        <a class="button wide" href="{{href}}">{{label}}</a></div>
        {{/content}}{{/alone}}
        """

    private static let csrf = """
        <input type="hidden" name="formKey" value="{{formKey}}">
        """

    private static let search = """
        <form class="bar" method="get" role="search">
        <label class="visually-hidden" for="q">Search</label>
        <input type="search" id="q" name="q" value="{{list.query}}" placeholder="{{list.hint}}">
        <input type="hidden" name="sort" value="{{list.sort}}">
        <button class="button">Search</button>
        {{#list.query}}<a class="button" href="{{list.path}}">Clear</a>{{/list.query}}
        </form>
        """

    private static let pages = """
        <nav class="pages" aria-label="Pages of the list">
        <span>{{list.range}}</span>
        <div>
        {{#list.previous}}<a class="button small" rel="prev" href="{{list.previous}}">Previous</a>\
        {{/list.previous}}
        {{#list.next}}<a class="button small" rel="next" href="{{list.next}}">Next</a>{{/list.next}}
        </div>
        </nav>
        """
}
