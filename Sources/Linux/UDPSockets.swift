internal import Bytes
internal import CLinux
internal import Glibc
public import IP

/// The UDP sockets of one loop's main port: one for each family, or for each address to listen on.
///
/// Each datagram's own address, ECN bits and segment size travel beside it. Path MTU discovery is
/// off, so that the kernel fragments what a small link cannot carry. Made in the network namespace
/// of the calling thread.
public struct UDPSockets: ~Copyable, Sendable {
    /// What a person may want to know about the sockets; not an error.
    public enum Note: Equatable, Sendable, CustomStringConvertible {
        /// The preferred port is in use; another one was taken.
        case portTaken(preferred: UInt16, taken: UInt16)
        /// One family is not there; the other goes on.
        case familyUnavailable(IPFamily, SystemError)
        /// The kernel joins no received datagrams (no UDP_GRO): correct, but slower.
        case receivesSingly

        public var description: String {
            switch self {
            case .portTaken(let preferred, let taken):
                "UDP port \(preferred) is in use by another program; using \(taken). A firewall "
                    + "rule for the first will not match."
            case .familyUnavailable(let family, let error):
                "No UDP socket for \(family == .ipv4 ? "IPv4" : "IPv6") (\(error)); going on "
                    + "without it."
            case .receivesSingly:
                "The kernel does not join received datagrams (UDP_GRO); going on, slower."
            }
        }
    }

    /// Bounds of the main sockets.
    public enum Limits {
        /// Addresses to listen on.
        public static var addresses: Int { 16 }
        /// Random ports tried until both families have the same one.
        static var portAttempts: Int { 16 }
    }

    /// One open socket, owned by whoever holds this value's table.
    struct Socket: Sendable {
        let descriptor: Int32
        let family: IPFamily
        /// The address that it is bound to; nil for all.
        let address: IPAddress?
    }

    private(set) var all: [Socket] = []
    /// The port of all, host byte order.
    public let port: UInt16

    /// Opens a socket of each family on every address, on one port.
    ///
    /// - Parameters:
    ///   - preferredPort: 0 for any.
    ///   - mark: The firewall mark that keeps their packets out of the tunnel; 0 for none.
    ///   - onNote: Told of what works less well than wished.
    /// - Throws: ``SystemError``, the one of IPv4 first, when neither family works.
    public init(
        preferredPort: UInt16 = 0,
        mark: UInt32 = 0,
        onNote: (Note) -> Void = { _ in }
    ) throws(SystemError) {
        var wanted = preferredPort
        for _ in 0..<Limits.portAttempts {
            let four = Self.open(.ipv4, port: wanted, mark: mark)
            let six = Self.open(.ipv6, port: four.port ?? wanted, mark: mark)
            if four.isPortTaken || six.isPortTaken {
                wanted = 0
                continue
            }
            guard let port = four.port ?? six.port else {
                throw four.error ?? six.error ?? SystemError(call: "socket", code: EAFNOSUPPORT)
            }
            if preferredPort != 0, port != preferredPort {
                onNote(.portTaken(preferred: preferredPort, taken: port))
            }
            if let error = four.error { onNote(.familyUnavailable(.ipv4, error)) }
            if let error = six.error { onNote(.familyUnavailable(.ipv6, error)) }
            if !four.joins && !six.joins { onNote(.receivesSingly) }
            self.port = port
            add(four.takeDescriptor(), .ipv4, at: nil)
            add(six.takeDescriptor(), .ipv6, at: nil)
            return
        }
        throw SystemError(call: "bind", code: EADDRINUSE)
    }

    /// Opens a socket on each of `addresses`, all on `port`, which is not exchanged for another.
    ///
    /// - Parameters:
    ///   - addresses: Where to listen, ``Limits/addresses`` at most; none means every address of
    ///     each family that the host has.
    ///   - port: The port, not 0.
    ///   - onNote: Told of what works less well than wished.
    /// - Throws: ``SystemError`` of the first that fails; without addresses, a family that the
    ///   host does not have is no failure.
    public init(
        listeningOn addresses: [IPAddress],
        port: UInt16,
        onNote: (Note) -> Void = { _ in }
    ) throws(SystemError) {
        self.port = port
        var joins = false
        for address in addresses.prefix(Limits.addresses) {
            let opened = Self.open(address.family, at: address, port: port, mark: 0)
            if let error = opened.error { throw error }
            joins = joins || opened.joins
            add(opened.takeDescriptor(), address.family, at: address)
        }
        if addresses.isEmpty {
            var failure: SystemError?
            for family in [IPFamily.ipv4, .ipv6] {
                let opened = Self.open(family, port: port, mark: 0)
                if opened.isPortTaken, let error = opened.error { throw error }
                if let error = opened.error { onNote(.familyUnavailable(family, error)) }
                failure = failure ?? opened.error
                joins = joins || opened.joins
                add(opened.takeDescriptor(), family, at: nil)
            }
            if all.isEmpty, let failure { throw failure }
        }
        if !joins { onNote(.receivesSingly) }
    }

    /// Goes on with the sockets that another process opened and gave away.
    ///
    /// - Parameter descriptors: All that it holds under ``DescriptorSet/Name/socket``.
    /// - Throws: ``SystemError`` when there is none, or one is not bound.
    public init(adopting descriptors: inout DescriptorSet) throws(SystemError) {
        var port: UInt16 = 0
        var found: [Socket] = []
        while let descriptor = descriptors.take(DescriptorSet.Name.socket) {
            let local: Endpoint
            do throws(SystemError) { local = try descriptor.localEndpoint().endpoint } catch {
                for socket in found { _ = Glibc.close(socket.descriptor) }
                throw error
            }
            let isAny = local.high == 0 && (local.low == 0 || local.low == 0xffff_0000_0000)
            port = local.port
            let socket = Socket(
                descriptor: descriptor.take(),
                family: local.address.isIPv4 ? .ipv4 : .ipv6,
                address: isAny ? nil : local.address
            )
            found.append(socket)
        }
        guard port != 0 else { throw SystemError(call: "adopt sockets", code: ENOTSOCK) }
        self.port = port
        all = found
    }

    deinit { for socket in all { _ = Glibc.close(socket.descriptor) } }

    /// The families that work.
    public var families: [IPFamily] {
        [.ipv4, .ipv6].filter { family in all.contains { $0.family == family } }
    }

    /// Gives the descriptors away, to be closed by the new owner.
    mutating func take() -> [Socket] {
        defer { all = [] }
        return all
    }

    private mutating func add(
        _ descriptor: consuming FileDescriptor?,
        _ family: IPFamily,
        at address: IPAddress?
    ) {
        guard let raw = descriptor.take()?.take() else { return }
        all.append(Socket(descriptor: raw, family: family, address: address))
    }

    /// One try at one socket.
    private struct Opened: ~Copyable {
        var descriptor: FileDescriptor?
        var port: UInt16?
        var error: SystemError?
        /// Whether received datagrams come joined.
        var joins = false

        var isPortTaken: Bool { error?.code == EADDRINUSE }

        consuming func takeDescriptor() -> FileDescriptor? { descriptor.take() }
    }

    private static func open(
        _ family: IPFamily,
        at address: IPAddress? = nil,
        port: UInt16,
        mark: UInt32
    ) -> Opened {
        var opened = Opened()
        do throws(SystemError) {
            let descriptor = try FileDescriptor(datagrams: family)
            opened.joins = try descriptor.prepareForPackets(family, mark: mark, buffers: .main)
            let any = SocketAddress(any: family, port: port)
            try descriptor.bind(
                to: address.map { SocketAddress(Endpoint($0, port: port)) } ?? any
            )
            opened.port = try descriptor.localEndpoint().endpoint.port
            opened.descriptor = consume descriptor
        } catch {
            opened.error = error
        }
        return opened
    }
}
