internal import Glibc

/// Open descriptors by name, on their way from one process to another; closed with the set.
public struct DescriptorSet: ~Copyable, Sendable {
    /// Names of descriptors that one process leaves to the next.
    public enum Name {
        /// What the process knew, as ``SealedMemory``.
        public static let state = "culvert-state"
        /// Who may use the state: an ``OneTimeTicket``.
        public static let ticket = "culvert-ticket"
        /// The tunnel device.
        public static let tunnel = "culvert-tunnel"
        /// A UDP socket of the main port; there may be several.
        public static let socket = "culvert-udp"
        /// The lock of a ``GatewaySlot``.
        public static let slot = "culvert-slot"
    }

    /// Bounds of a set.
    public enum Limits {
        /// Descriptors in it.
        public static var descriptors: Int { 32 }
    }

    private(set) var entries: [(name: String, raw: Int32)] = []

    public init() {}

    deinit { for entry in entries { _ = Glibc.close(entry.raw) } }

    /// Whether there is none left.
    public var isEmpty: Bool { entries.isEmpty }

    /// The names, in order; one may come several times.
    public var names: [String] { entries.map(\.name) }

    /// Adds one, which is closed when there are too many.
    public mutating func add(_ descriptor: consuming FileDescriptor, as name: String) {
        guard entries.count < Limits.descriptors else { return }
        entries.append((name, descriptor.take()))
    }

    /// Takes the first one of that name out.
    ///
    /// - Returns: nil when there is none.
    public mutating func take(_ name: String) -> FileDescriptor? {
        guard let index = entries.firstIndex(where: { $0.name == name }) else { return nil }
        return FileDescriptor(taking: entries.remove(at: index).raw)
    }
}
