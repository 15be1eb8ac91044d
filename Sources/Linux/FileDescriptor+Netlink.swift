internal import CLinux
internal import Glibc

extension FileDescriptor {
    /// A netlink socket that the kernel tells of what happens in `groups`, and that never waits.
    init(netlink number: Int32, groups: [Int32]) throws(SystemError) {
        let socket = try FileDescriptor(
            socket: AF_NETLINK,
            type: Int32(SOCK_RAW.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            protocol: number
        )
        // Without a number of its own the socket is passed over by what the kernel itself tells.
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        let byteCount = socklen_t(MemoryLayout<sockaddr_nl>.size)
        try SystemError.check("bind netlink") {
            unsafe withUnsafePointer(to: address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe Glibc.bind(socket.raw, $0, byteCount)
                }
            }
        }
        for group in groups {
            try socket.setOption(culvert_SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        }
        self = socket
    }
}
