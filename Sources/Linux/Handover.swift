internal import Synchronization

/// A value that one thread leaves and another one takes.
final class Handover<Value: ~Copyable & Sendable>: Sendable {
    private let value: Mutex<Value?>

    init(_ value: consuming sending Value) { self.value = Mutex(consume value) }

    /// The value, once; nil after that.
    func take() -> sending Value? { value.withLock { $0.take() } }
}
