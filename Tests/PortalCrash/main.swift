// A portal that changes its own configuration without end and says which changes were acknowledged,
// to be killed at any moment by the tests. `PortalCrash FOLDER` changes, `PortalCrash FOLDER serve`
// only serves.

internal import Control
internal import Foundation
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Portal
internal import ServiceLifecycle

/// Says a line at once.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

/// A connection to the portal's local socket.
struct LocalAPI {
    let channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    init(socket: String) async throws {
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(unixDomainSocketPath: socket) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Calls `body` with a function that sends one request and gives the answer's body.
    func use(_ body: (_ send: (String, String, String) async throws -> String) async throws -> Void)
        async throws
    {
        try await channel.executeThenClose { inbound, outbound in
            var answers = inbound.makeAsyncIterator()
            try await body { method, path, text in
                var head = HTTPRequestHead(
                    version: .http1_1,
                    method: .init(rawValue: method),
                    uri: path
                )
                head.headers = ["host": "portal", "content-length": "\(text.utf8.count)"]
                try await outbound.write(.head(head))
                try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
                try await outbound.write(.end(nil))
                var answer = ""
                while let part = try await answers.next() {
                    if case .body(let buffer) = part { answer += String(buffer: buffer) }
                    if case .end = part { break }
                }
                return answer
            }
        }
    }
}

struct Revision: Decodable { let revision: UInt64 }

func churn(_ socket: String) async throws {
    try await LocalAPI(socket: socket).use { send in
        let status = try await send("GET", "/api/v1/status", "")
        say("ready \(try JSONDecoder().decode(Revision.self, from: Data(status.utf8)).revision)")
        while true {
            let name = "site-\(UInt64.random(in: 0 ... .max))"
            let list = try await send("GET", "/api/v1/configuration", "")
            let known = list.split(separator: "\n").filter { $0.contains("site-") }.suffix(20)
            let sites = (known + ["  - name: \(name)"]).joined(separator: "\n")
            let answer = try await send("POST", "/api/v1/configuration", "sites:\n\(sites)\n")
            let made = try JSONDecoder().decode(Revision.self, from: Data(answer.utf8))
            say("done \(made.revision) \(name)")
        }
    }
}

let arguments = CommandLine.arguments
guard arguments.count > 1, let url = PortalURL("https://localhost:8443") else {
    say("usage: PortalCrash FOLDER [serve]")
    exit(2)
}
let serves = arguments.count > 2
var configuration = PortalConfiguration(
    listen: [serves ? "127.0.0.1:8443" : "127.0.0.1:0"],
    url: url,
    stateFolder: arguments[1]
)
var logger = Logger(label: "portal")
logger.logLevel = .warning
let server = PortalServer(configuration: configuration, logger: logger) { ready in
    if serves {
        say("serving on \(ready.ports) \(ready.firstLink ?? "")")
    } else {
        Task {
            do {
                try await churn(ready.socketPath)
            } catch {
                say("failed \(error)")
                exit(1)
            }
        }
    }
}
let group = ServiceGroup(
    configuration: ServiceGroupConfiguration(
        services: [server],
        logger: logger
    )
)
do {
    try await group.run()
} catch let error as PortalStartError {
    say("failed \(error.sentence)")
    exit(1)
}
