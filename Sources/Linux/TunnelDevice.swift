internal import CLinux
internal import Glibc

/// Why there is no tunnel device.
public enum TunnelError: Error, Equatable, Sendable, CustomStringConvertible {
    /// /dev/net/tun is missing.
    case noDevice
    /// The process lacks CAP_NET_ADMIN.
    case noPrivilege
    /// Another interface, or another process, has the name.
    case nameTaken(String)
    /// The name is empty, longer than 15 bytes, or has a slash or space.
    case invalidName(String)
    /// Anything else.
    case system(SystemError)

    fileprivate init(_ error: SystemError, name: String) {
        self =
            switch error.code {
            case ENOENT, ENODEV, ENXIO: .noDevice
            case EPERM, EACCES: .noPrivilege
            case EBUSY: .nameTaken(name)
            default: .system(error)
            }
    }

    public var description: String {
        switch self {
        case .noDevice:
            "There is no /dev/net/tun: the kernel module tun is not loaded, or the container was "
                + "started without the device. Load it with \"modprobe tun\", or start the "
                + "container with \"--device /dev/net/tun\"."
        case .noPrivilege:
            "No permission to make a tunnel device: it takes the capability CAP_NET_ADMIN. Start "
                + "as root, or give the capability to the service or container."
        case .nameTaken(let name):
            "The interface name \(name) is taken. Is another one running? Stop it, or choose "
                + "another interface name."
        case .invalidName(let name):
            "\"\(name)\" cannot be an interface name: 1 to 15 letters, digits, dots, dashes or "
                + "underscores."
        case .system(let error):
            "The tunnel device could not be made. \(error)."
        }
    }
}

/// A TUN device: IP packets of this host in and out, each with the kernel's offload header.
///
/// Lives as long as its descriptor; nothing else can attach to it. Made in the network namespace of
/// the calling thread.
public struct TunnelDevice: ~Copyable, Sendable {
    /// What the kernel may leave to us.
    public struct Offloads: OptionSet, Sendable {
        /// One bit for each.
        public let rawValue: UInt32

        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Checksums of single packets.
        public static let checksum = Offloads(rawValue: 1)
        /// Large TCP packets of both families.
        public static let tcp = Offloads(rawValue: 2)
        /// Large UDP packets of both families; since Linux 6.2.
        public static let udp = Offloads(rawValue: 4)
        /// Everything that a new kernel can leave to us.
        public static let all: Offloads = [.checksum, .tcp, .udp]

        fileprivate var flags: UInt32 {
            var flags: UInt32 = 0
            if contains(.checksum) { flags |= UInt32(TUN_F_CSUM) }
            if contains(.tcp) { flags |= UInt32(TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) }
            if contains(.udp) { flags |= culvert_TUN_F_USO4 | culvert_TUN_F_USO6 }
            return flags
        }
    }

    let descriptor: FileDescriptor
    /// The interface's name, as the kernel made it.
    public let name: String
    /// The interface's index, for routes and addresses.
    public let index: UInt32
    /// What the kernel agreed to; fewer than asked on an older kernel.
    public let offloads: Offloads

    /// Makes the device, down and without addresses.
    ///
    /// - Parameters:
    ///   - name: `%d` in it stands for the first free number.
    ///   - offloads: What to ask the kernel for.
    /// - Throws: ``TunnelError`` when the name is taken or wrong, or the kernel refuses.
    public init(name: String = "culvert%d", offloads: Offloads = .all) throws(TunnelError) {
        let bytes = Array(name.utf8)
        let isPlain = bytes.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") }
        guard (1...15).contains(bytes.count), isPlain else { throw .invalidName(name) }
        let descriptor: FileDescriptor
        do throws(SystemError) {
            descriptor = try FileDescriptor(open: "/dev/net/tun", flags: O_RDWR | O_NONBLOCK)
        } catch {
            throw TunnelError(error, name: name)
        }
        do throws(SystemError) {
            self.name = try Self.attach(descriptor.raw, name: bytes)
        } catch {
            throw TunnelError(error, name: name)
        }
        index = unsafe if_nametoindex(self.name)
        self.offloads = Self.agree(descriptor.raw, offloads)
        self.descriptor = descriptor
    }

    /// Goes on with the device that another process made and gave away.
    ///
    /// - Parameters:
    ///   - descriptor: The device's.
    ///   - offloads: What to ask the kernel for.
    /// - Throws: ``TunnelError`` when it is no tunnel device, or it is gone.
    public init(
        adopting descriptor: consuming FileDescriptor,
        offloads: Offloads = .all
    ) throws(TunnelError) {
        var request = InlineArray<40, UInt8>(repeating: 0)
        do throws(SystemError) {
            try SystemError.check("ioctl TUNGETIFF") {
                unsafe withUnsafeMutableBytes(of: &request) { bytes in
                    unsafe culvert_ioctl_pointer(
                        descriptor.raw,
                        culvert_TUNGETIFF,
                        bytes.baseAddress
                    )
                }
            }
        } catch {
            throw TunnelError(error, name: "")
        }
        name = Self.name(in: request)
        index = unsafe if_nametoindex(name)
        self.offloads = Self.agree(descriptor.raw, offloads)
        self.descriptor = descriptor
    }

    /// Gives the descriptor away.
    consuming func takeDescriptor() -> FileDescriptor { descriptor }

    /// The name at the start of struct ifreq.
    private static func name(in request: InlineArray<40, UInt8>) -> String {
        String(decoding: (0..<16).map { request[$0] }.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Makes the interface `name` for `descriptor`, fails when it exists; returns its final name.
    private static func attach(
        _ descriptor: Int32,
        name: [UInt8]
    ) throws(SystemError) -> String {
        // struct ifreq: the name in 16 bytes, the flags after it.
        var request = InlineArray<40, UInt8>(repeating: 0)
        for (index, byte) in name.enumerated() { request[index] = byte }
        let flags = UInt16(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR) | UInt16(IFF_TUN_EXCL)
        try SystemError.check("ioctl TUNSETIFF") {
            unsafe withUnsafeMutableBytes(of: &request) { bytes in
                unsafe bytes.storeBytes(of: flags, toByteOffset: 16, as: UInt16.self)
                return unsafe culvert_ioctl_pointer(
                    descriptor,
                    culvert_TUNSETIFF,
                    bytes.baseAddress
                )
            }
        }
        var headerByteCount = Int32(TunnelHeader.byteCount)
        try SystemError.check("ioctl TUNSETVNETHDRSZ") {
            unsafe culvert_ioctl_pointer(descriptor, culvert_TUNSETVNETHDRSZ, &headerByteCount)
        }
        return Self.name(in: request)
    }

    /// Asks for `wanted`, then for less, until the kernel agrees.
    private static func agree(_ descriptor: Int32, _ wanted: Offloads) -> Offloads {
        for offer in [wanted, wanted.subtracting(.udp), wanted.intersection(.checksum)] {
            let flags = UInt(offer.flags)
            if culvert_ioctl_value(descriptor, culvert_TUNSETOFFLOAD, flags) == 0 { return offer }
        }
        return []
    }

    /// Sets MTU and queue length, keeps IPv6 from making addresses of its own, and brings it up.
    ///
    /// - Parameters:
    ///   - mtu: Bytes of the largest packet inside.
    ///   - queueLength: Packets that wait in the kernel while the loop is not reading.
    /// - Throws: ``NetlinkError`` when the kernel refuses.
    public func configure(mtu: UInt32 = 1280, queueLength: UInt32 = 10_000) throws(NetlinkError) {
        try Netlink.set(
            link: index,
            LinkChange(mtu: mtu, queueLength: queueLength, automaticLinkLocal: false)
        )
        try Netlink.set(link: index, LinkChange(isUp: true))
    }
}
