internal import Foundation

/// Signing in with a password: slowed down for who guesses, equally slow for who exists and who
/// not.
actor SignIn {
    /// Why nobody was signed in.
    enum Failure: Error, Equatable {
        /// The address or the password is wrong; which, is not told.
        case wrong
        /// Too many tries; seconds to wait.
        case tooMany(waitSeconds: Int)

        /// What to do.
        var sentence: String {
            switch self {
            case .wrong: "The e-mail address or the password is wrong."
            case .tooMany(let seconds): "Too many tries; wait \(seconds) seconds and try again."
            }
        }
    }

    private let store: Store
    private let metrics: PortalMetrics
    private var limiter = SignInLimiter()
    /// What strangers' passwords are compared with, so that they take as long.
    private var decoy: String?

    init(store: Store, metrics: PortalMetrics) { (self.store, self.metrics) = (store, metrics) }

    /// Opens a session for who knows the password; `place` is where the try comes from.
    func signIn(
        email: String,
        password: String,
        from place: String
    ) async throws -> (secret: String, session: WebSession) {
        let email = email.lowercased()
        if let wait = limiter.take(["account \(email)", "place \(place)"], now: .now) {
            metrics.count(.signInFailures)
            throw Failure.tooMany(waitSeconds: wait)
        }
        let stored = try await store.passwordHash(of: email)
        let compared: String
        if let stored { compared = stored } else { compared = try await decoyHash() }
        let isLong = password.utf8.count > Secrets.Limits.passwordLengthMax
        let isRight = await Self.verify(isLong ? "" : password, compared)
        guard stored != nil, isRight, !isLong else {
            metrics.count(.signInFailures)
            throw Failure.wrong
        }
        return try await store.openSession(for: email, now: .now)
    }

    private func decoyHash() async throws -> String {
        if let decoy { return decoy }
        let made = try await Self.hash(Secrets.randomText())
        decoy = made
        return made
    }

    /// The stored form of a password; slow on purpose, so not on this actor.
    @concurrent static func hash(_ password: String) async throws -> String {
        try Secrets.hash(password: password)
    }

    @concurrent private static func verify(_ password: String, _ stored: String) async -> Bool {
        Secrets.verify(password: password, against: stored)
    }
}
