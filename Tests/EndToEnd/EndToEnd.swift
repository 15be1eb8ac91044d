import Foundation
import Lab
import Testing

/// The executable under test: it comes from `CULVERT`, and needs root.
enum Product {
    static let executable = ProcessInfo.processInfo.environment["CULVERT"] ?? ""
    static var isTestable: Bool { getuid() == 0 && !executable.isEmpty }
}

/// Everything that makes namespaces hangs below this suite, so that it runs one test at a time.
@Suite(
    .serialized,
    .enabled(if: Product.isTestable, "needs root and CULVERT=path of the executable")
)
enum EndToEnd {
    static let executable = Product.executable
    static let roles = Roles(executable: Product.executable)
}

/// Something that mostly waits, on a thread of its own beside the tests.
final class Beside<Value: Sendable>: Sendable {
    private let result: Task<Value, any Error>

    init(_ body: @escaping @Sendable () throws -> Value) {
        result = Task {
            try await withCheckedThrowingContinuation { continuation in
                Thread { continuation.resume(with: Result(catching: body)) }.start()
            }
        }
    }

    var value: Value {
        get async throws { try await result.value }
    }
}

/// The demo's network with all roles running, for the length of one test.
struct RunningDemo {
    let world: DemoNetwork
    let portal: Running
    let gateway: Running
    let client: Running

    init(_ name: String, mapping: Router.Mapping = .preserving, ipv6: Bool = true) throws {
        world = try DemoNetwork(name: name, mapping: mapping, laptopsHaveIPv6: ipv6)
        let roles = EndToEnd.roles
        portal = try roles.portal(on: world.portal)
        try roles.apply(DemoNetwork.configuration, portal: world.portal)
        gateway = try roles.gateway(on: world.gateway, site: "headquarters", portal: world.portal)
        client = try roles.client(on: world.ada, email: "ada@example.com", portal: world.portal)
    }

    /// Ends everything; for `defer`.
    func remove() { world.network.remove() }

    /// What the roles said, for a failed expectation.
    var logs: String {
        "client:\n\(client.output.suffix(3_000))\ngateway:\n\(gateway.output.suffix(3_000))"
            + "\nportal:\n\(portal.output.suffix(3_000))"
    }
}
