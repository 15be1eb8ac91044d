internal import Control
internal import Foundation
internal import HTTPTypes
internal import Hummingbird
internal import IP
internal import Logging
internal import Policy

/// Signing in, and the one-time link with which a password is set.
struct SignInRoutes {
    /// Ties the form of somebody who is not signed in to the browser that it was given to.
    private static let formCookie = "__Host-culvert-form"

    let portal: Portal

    func add(to router: Router<PortalContext>) {
        router.get("/sign-in") { request, _ in
            await signInPage(next: Form.query(of: request)["next"])
        }
        router.post("/sign-in", use: signIn)
        router.get("/set-password/:secret", use: passwordForm)
        router.post("/set-password/:secret", use: setPassword)
    }

    private func signIn(_ request: Request, _ context: PortalContext) async throws -> Response {
        let form = try await Form.read(request)
        try check(form, request)
        let forwarded = request.headers[values: Self.forwardedFor]
        let peer = context.channel.remoteAddress
        let place = portal.remoteAddress.address(of: peer, forwardedFor: forwarded)
        do {
            let (secret, _) = try await portal.signIn.signIn(
                email: form["email"],
                password: form.exact("password"),
                from: place?.description ?? "local"
            )
            return signedIn(secret, next: form["next"])
        } catch let failure as SignIn.Failure {
            return await signInPage(
                next: form["next"],
                email: form["email"],
                fault: failure.sentence,
                status: failure == .wrong ? .unauthorized : .tooManyRequests
            )
        }
    }

    private func passwordForm(_ request: Request, _ context: PortalContext) async throws -> Response
    {
        let secret = try context.parameters.require("secret")
        try await checkInvitation(secret)
        return await passwordPage(secret, [:])
    }

    private func setPassword(_ request: Request, _ context: PortalContext) async throws -> Response
    {
        let secret = try context.parameters.require("secret")
        let form = try await Form.read(request)
        try check(form, request)
        try await checkInvitation(secret)
        let email = form["email"].lowercased()
        let password = form.exact("password")
        let faults: [String: Any?] = [
            "email": form["email"],
            "emailFault": Self.isEmail(email) ? nil : "This is not an e-mail address.",
            "passwordFault": Self.fault(of: password),
            "repeatedFault": password == form.exact("repeated") ? nil : "The two are not the same.",
        ]
        if faults.present.keys.contains(where: { $0.hasSuffix("Fault") }) {
            return await passwordPage(secret, faults, status: .unprocessableContent)
        }
        let hash = try await SignIn.hash(password)
        let isDone = try await portal.store.accept(
            secret,
            email: email,
            passwordHash: hash,
            now: .now
        )
        guard isDone else { throw Self.usedUp }
        portal.logger.info("an administrator set a password")
        try await portal.switchboard.note("set a password for the web admin", by: email)
        return signedIn(try await portal.store.openSession(for: email, now: .now).secret, next: "/")
    }

    private func checkInvitation(_ secret: String) async throws {
        guard try await portal.store.isInvitation(secret, now: .now) else { throw Self.usedUp }
    }

    private static var usedUp: APIError {
        .notFound(
            "This link was used already, or is older than a day. On the portal's machine, “culvert "
                + "token --admin” prints a new one."
        )
    }

    private static let forwardedFor = HTTPField.Name("X-Forwarded-For") ?? .via

    /// One part before the at sign, a host after it, no spaces.
    static func isEmail(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && parts[1].contains(".")
            && !text.contains(where: \.isWhitespace) && text.utf8.count <= 254
    }

    private static func fault(of password: String) -> String? {
        let limits = Secrets.Limits.passwordLengthMin...Secrets.Limits.passwordLengthMax
        if limits.contains(password.count) { return nil }
        return password.count < limits.lowerBound
            ? "This has \(password.count) characters; \(limits.lowerBound) are needed."
            : "This is too long."
    }

    private func check(_ form: Form, _ request: Request) throws {
        guard form.carries(request.cookies[Self.formCookie]?.value ?? "") else { throw Form.forged }
    }

    private func signedIn(_ secret: String, next: String) -> Response {
        // Only a path of this portal: neither another host nor what a browser takes for one.
        let isPath = next.hasPrefix("/") && !next.hasPrefix("//") && !next.contains("\\")
        let isClean = next.unicodeScalars.allSatisfy { $0.isASCII && $0.value > 32 }
        var response = Response.seeOther(isPath && isClean ? next : "/")
        response.setCookie(
            SessionGate.cookie,
            secret,
            lifetime: Int(Store.SignInLimits.sessionLifetime)
        )
        response.setCookie(Self.formCookie, "", lifetime: 0)
        return response
    }

    private func signInPage(
        next: String,
        email: String = "",
        fault: String? = nil,
        status: HTTPResponse.Status = .ok
    ) async -> Response {
        await page(
            "sign-in",
            title: "Sign in",
            ["next": next, "email": email, "fault": fault],
            status: status
        )
    }

    private func passwordPage(
        _ secret: String,
        _ values: [String: Any?],
        status: HTTPResponse.Status = .ok
    ) async -> Response {
        var values = values
        values["action"] = "/set-password/\(secret)"
        return await page("set-password", title: "Set your password", values, status: status)
    }

    private func page(
        _ template: String,
        title: String,
        _ values: [String: Any?],
        status: HTTPResponse.Status
    ) async -> Response {
        let key = Secrets.randomText()
        let account = await portal.switchboard.directory.account
        var all: [String: Any] = [
            "title": title,
            "account": account.isEmpty ? "this portal" : account,
            "formKey": key,
            "styleVersion": StyleSheet.version,
        ]
        for (name, value) in values.present { all[name] = value }
        var response = Response.html(Templates.render(template, all), status: status)
        response.setCookie(Self.formCookie, key, lifetime: 3_600)
        return response
    }
}
