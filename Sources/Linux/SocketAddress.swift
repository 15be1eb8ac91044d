internal import Bytes
internal import CLinux
internal import Glibc
internal import IP

/// The kernel's form of an endpoint (sockaddr_in, sockaddr_in6), 28 bytes.
struct SocketAddress: Sendable {
    /// Bytes of the larger of the two.
    static var byteCountMax: Int { 28 }

    private var storage = InlineArray<4, UInt64>(repeating: 0)
    private var byteCount: Int

    /// All zero: no family yet.
    static let empty = SocketAddress(byteCount: SocketAddress.byteCountMax)

    private init(byteCount: Int) { self.byteCount = byteCount }

    init(_ endpoint: Endpoint) {
        self.init(byteCount: endpoint.address.isIPv4 ? 16 : Self.byteCountMax)
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            _ = unsafe Self.write(endpoint, to: bytes)
        }
    }

    /// Where to reach `endpoint`, which may be a link-local one of a link that it names itself: see
    /// ``IP/IPAddress/onLink(_:)``.
    init(scoped endpoint: Endpoint) {
        guard let link = endpoint.address.link else {
            self.init(endpoint)
            return
        }
        let address = IPAddress(high: 0xfe80 << 48, low: endpoint.address.low)
        self.init(Endpoint(address, port: endpoint.port))
        // sin6_scope_id.
        unsafe withUnsafeMutableBytes(of: &storage) { bytes in
            unsafe bytes.storeBytes(of: link, toByteOffset: 24, as: UInt32.self)
        }
    }

    /// Any address of a family, at `port`.
    init(any family: IPFamily, port: UInt16) {
        let address = family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(high: 0, low: 0)
        self.init(Endpoint(address, port: port))
    }

    /// The endpoint; unspecified for another family than the two.
    var endpoint: Endpoint {
        unsafe withUnsafeBytes(of: storage) { bytes in unsafe Self.read(bytes) }
    }

    /// Lends the address to a system call.
    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        let count = socklen_t(byteCount)
        return unsafe withUnsafePointer(to: storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, count)
            }
        }
    }

    /// Lends room for an address to a system call.
    mutating func withMutablePointer<R>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> R
    ) -> R {
        var count = socklen_t(Self.byteCountMax)
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, &count)
            }
        }
    }

    /// Writes the kernel's form of `endpoint` to the start of `bytes`, which has room for 28;
    /// returns how many bytes it takes.
    static func write(_ endpoint: Endpoint, to bytes: UnsafeMutableRawBufferPointer) -> Int {
        let isIPv4 = endpoint.address.isIPv4
        unsafe bytes.storeBytes(of: UInt16(isIPv4 ? AF_INET : AF_INET6), as: UInt16.self)
        unsafe bytes.storeBytes(of: endpoint.port.bigEndian, toByteOffset: 2, as: UInt16.self)
        if isIPv4 {
            let address = endpoint.address.ipv4.bigEndian
            unsafe bytes.storeBytes(of: address, toByteOffset: 4, as: UInt32.self)
            return 16
        }
        unsafe bytes.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
        unsafe bytes.storeBytes(of: endpoint.high.bigEndian, toByteOffset: 8, as: UInt64.self)
        unsafe bytes.storeBytes(of: endpoint.low.bigEndian, toByteOffset: 16, as: UInt64.self)
        unsafe bytes.storeBytes(of: 0, toByteOffset: 24, as: UInt32.self)
        return byteCountMax
    }

    /// The endpoint at the start of `bytes`.
    static func read(_ bytes: UnsafeRawBufferPointer) -> Endpoint {
        let port = unsafe UInt16(
            bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
        )
        switch unsafe Int32(bytes.loadUnaligned(as: UInt16.self)) {
        case AF_INET:
            let address = unsafe bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
            return Endpoint(IPAddress(ipv4: UInt32(bigEndian: address)), port: port)
        case AF_INET6:
            let high = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            let low = unsafe bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
            return Endpoint(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low), port: port)
        default:
            return .unspecified
        }
    }
}
