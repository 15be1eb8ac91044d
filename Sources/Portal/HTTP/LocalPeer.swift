internal import Glibc
internal import NIOCore

/// Who is at the other end of the local socket.
enum LocalPeer {
    /// The kernel's `struct ucred`.
    private struct Credentials {
        var process: Int32 = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
    }

    /// The uid of the process that connected (unix(7), SO_PEERCRED); nil when the kernel does not
    /// say.
    static func uid(of channel: any Channel) async -> UInt32? {
        guard let provider = channel as? any SocketOptionProvider else { return nil }
        let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
            level: .init(SOL_SOCKET),
            name: .init(SO_PEERCRED)
        )
        return try? await credentials.get().user
    }

    /// Whether `uid` may administer: root, or the user that the portal runs as.
    static func isAdministrator(_ uid: UInt32) -> Bool { uid == 0 || uid == geteuid() }
}
