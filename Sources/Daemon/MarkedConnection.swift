internal import NIOCore
internal import NIOPosix

/// Connections that carry the firewall mark from their first packet on.
enum MarkedConnection {
    /// SO_MARK of Linux; NIO has no name for it.
    private static let markOption = ChannelOptions.Types.SocketOption(
        level: .socket,
        name: .init(rawValue: 36)
    )

    /// A client bootstrap; with a mark it needs CAP_NET_ADMIN.
    static func bootstrap(
        mark: UInt32?,
        on group: any EventLoopGroup = .singletonMultiThreadedEventLoopGroup
    ) -> ClientBootstrap {
        let plain = ClientBootstrap(group: group)
        guard let mark else { return plain }
        return plain.channelOption(markOption, value: SocketOptionValue(mark))
    }

    /// The same for datagrams.
    static func datagramBootstrap(mark: UInt32?) -> DatagramBootstrap {
        let plain = DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
        guard let mark else { return plain }
        return plain.channelOption(markOption, value: SocketOptionValue(mark))
    }
}
