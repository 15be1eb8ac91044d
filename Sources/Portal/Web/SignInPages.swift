/// Pages for people who are not signed in.
enum SignInPages {
    static let sources = [("sign-in", signIn), ("set-password", setPassword)]

    private static let signIn = """
        {{<alone}}{{$content}}
        <form class="card" method="post" action="/sign-in">
        <h1>Sign in</h1><p class="muted">to administer {{account}}</p>
        {{#fault}}<div class="note bad" role="alert"><p>{{fault}}</p></div>{{/fault}}
        {{>csrf}}
        <input type="hidden" name="next" value="{{next}}">
        <div class="field"><label for="email">E-mail address</label>
        <input id="email" name="email" type="email" value="{{email}}" autocomplete="username" \
        required \
        autofocus></div>
        <div class="field"><label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password" \
        required>
        </div>
        <button class="button primary wide">Sign in</button>
        </form>
        <p class="muted small">No account or password? On the portal’s machine, \
        <code>culvert token --admin</code> prints a link to set one.</p>
        {{/content}}{{/alone}}
        """

    private static let setPassword = """
        {{<alone}}{{$content}}
        <form class="card" method="post" action="{{action}}">
        <h1>Set your password</h1>
        <p class="muted">This link works once. It makes you an administrator of {{account}}.</p>
        {{>csrf}}
        <div class="field"><label for="email">E-mail address</label>
        <input id="email" name="email" type="email" value="{{email}}" autocomplete="username" \
        required \
        autofocus{{#emailFault}} aria-invalid="true" aria-describedby="email-fault"{{/emailFault}}>
        {{#emailFault}}<p class="fault" id="email-fault">{{emailFault}}</p>{{/emailFault}}</div>
        <div class="field"><label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="new-password" required \
        aria-describedby="password-hint"{{#passwordFault}} aria-invalid="true"{{/passwordFault}}>
        {{#passwordFault}}<p class="fault">{{passwordFault}}</p>{{/passwordFault}}
        <p class="hint" id="password-hint">At least 12 characters; a few unrelated words do \
        well.</p>
        </div>
        <div class="field"><label for="repeated">The same again</label>
        <input id="repeated" name="repeated" type="password" autocomplete="new-password" required\
        {{#repeatedFault}} aria-invalid="true"{{/repeatedFault}}>
        {{#repeatedFault}}<p class="fault">{{repeatedFault}}</p>{{/repeatedFault}}</div>
        <button class="button primary wide">Set password and sign in</button>
        </form>
        {{/content}}{{/alone}}
        """
}
