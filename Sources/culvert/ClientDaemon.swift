internal import Client
internal import Control
internal import DNS
internal import Daemon
internal import Foundation
internal import Linux
internal import Logging
internal import SansIO

/// The client as a daemon: a session from `up` to `down`, and the socket that commands speak to.
actor ClientDaemon {
    private let options: ClientOptions
    private let logger: Logger
    private var session: ClientSession?
    private var running: Task<Void, Never>?
    private var lastEnding: String?

    init(options: ClientOptions, logger: Logger) {
        (self.options, self.logger) = (options, logger)
    }

    /// Runs until SIGTERM or SIGINT, and puts the host back.
    func run() async throws {
        let state = try StateFolder(path: options.statePath, role: "client")
        let server = Task { try await self.serve(state) }
        do { try await up(state) } catch {
            server.cancel()
            throw error
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await Signals.termination() }
            group.addTask {
                do { try await server.value } catch is CancellationError {} catch {
                    self.logger.error("\(error)")
                }
            }
            await group.next()
            logger.info("stopping")
            await down()
            server.cancel()
        }
    }

    private func up(_ state: StateFolder) async throws {
        guard running == nil else { return }
        let session = try await ClientSession(options: options, state: state, logger: logger)
        self.session = session
        lastEnding = nil
        running = Task {
            do { try await session.run(state: state) } catch {
                self.ended(with: "\(error)")
            }
            self.ended(with: nil)
        }
    }

    private func ended(with sentence: String?) {
        if let sentence {
            logger.error("\(sentence)")
            lastEnding = sentence
        }
        session = nil
        running = nil
    }

    private func down() async {
        guard let running else { return }
        running.cancel()
        await running.value
    }

    private func serve(_ state: StateFolder) async throws {
        try await LocalServer(path: options.socketPath, logger: logger) { request in
            await self.answer(request, state)
        }.run()
    }

    private func answer(_ request: LocalServer.Request, _ state: StateFolder) async
        -> LocalServer.Answer
    {
        switch request.route {
        case "GET /api/v1/status":
            return .json(await status())
        case "GET /api/v1/netcheck":
            guard let plane = session?.plane else { return .refusal(409, Self.notUp) }
            return .json(await check(plane))
        case "GET /metrics":
            guard let session else { return .refusal(409, Self.notUp) }
            return .text(await session.metrics())
        case "POST /api/v1/up":
            do { try await up(state) } catch { return .refusal(500, "\(error)") }
            return .json(await status())
        case "POST /api/v1/down":
            await down()
            return .json(await status())
        case "GET /api/v1/explain":
            guard let what = request.query["what"] else {
                return .refusal(400, "Say what to explain: ?what=NAME.")
            }
            guard let plane = session?.plane else { return .refusal(409, Self.notUp) }
            return .json(await plane.withMachine { $0.explain(what, at: SystemClock.now()) })
        case "GET /api/v1/dns/query": return await query(request)
        case "POST /api/v1/dns/flush":
            guard let plane = session?.plane else { return .refusal(409, Self.notUp) }
            await plane.handle(.flushNames)
            return .json(["flushed": true])
        default:
            return .refusal(
                404,
                "A client answers GET status, explain, netcheck and dns/query, and POST up, down"
                    + " and dns/flush, below /api/v1; and GET /metrics."
            )
        }
    }

    /// Lets relays try what is let in from outside, and waits until they have.
    private func check(_ plane: ClientSession.Plane) async -> NetworkCheck {
        await plane.handle(.checkFiltering)
        let end = ContinuousClock.now + Self.filteringPatience
        while await plane.withMachine({ $0.isCheckingFiltering }), ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(50))
        }
        return await plane.withMachine {
            NetworkCheck($0.status(at: SystemClock.now()), $0.filterings)
        }
    }

    /// More than a check can take.
    private static let filteringPatience = Duration.seconds(10)

    private func query(_ request: LocalServer.Request) async -> LocalServer.Answer {
        guard let name = request.query["name"] else {
            return .refusal(400, "Say which name: ?name=NAME&type=A.")
        }
        guard let session else { return .refusal(409, Self.notUp) }
        let type = request.query["type"] ?? "A"
        guard Name(name) != nil, RecordType(type) != nil else {
            return .refusal(
                400,
                "“\(name)” or “\(type)” cannot be read; write a name, and a type such as A, MX or "
                    + "TYPE65."
            )
        }
        guard let answer = await session.query(name, type) else {
            return .refusal(409, "The client has not heard from its portal yet; try again.")
        }
        return .json(answer)
    }

    static let notUp = "The client is down; `culvert up` connects it."

    private func status() async -> ClientStatus {
        guard let plane = session?.plane, let isReady = session?.isHostReady.isSet else {
            return ClientStatus(state: "down", portal: "\(options.token.url)", ending: lastEnding)
        }
        let core = await plane.withMachine { $0.status(at: SystemClock.now()) }
        return ClientStatus(
            state: core.isPortalConnected && isReady ? "connected" : "connecting",
            portal: "\(options.token.url)",
            device: options.name,
            notices: (session?.notices.all ?? []) + (session?.upstreamFailures ?? []),
            core: core
        )
    }
}

/// What `GET /api/v1/status` of a client answers.
struct ClientStatus: Codable, Sendable {
    /// down, connecting, connected.
    var state: String
    /// The portal's URL.
    var portal: String
    /// The device's name.
    var device: String?
    /// Why the last session ended, when it did by itself.
    var ending: String?
    /// What people should know of the host's part, in sentences.
    var notices: [String] = []
    /// What the core says.
    var core: Client::Client.Status?
}
