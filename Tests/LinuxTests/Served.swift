internal import Bytes
internal import Synchronization

/// The local address of the last connection that a test's server accepted.
final class Served: Sendable {
    private let endpoint = Mutex(Endpoint.unspecified)
    func set(_ value: Endpoint) { endpoint.withLock { $0 = value } }
    func local() -> Endpoint { endpoint.withLock { $0 } }
}
