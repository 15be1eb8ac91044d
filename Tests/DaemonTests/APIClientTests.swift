internal import Daemon
internal import Foundation
internal import NIOCore
internal import NIOPosix
internal import Testing

@Suite("Commands that ask a role", .timeLimit(.minutes(1)))
struct APIClientTests {
    /// Answers as soon as anything comes, and hangs up: quicker than a busy client goes on writing.
    private final class Hasty: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
            context.close(promise: nil)
        }
    }

    @Test("an answer counts though the other side hung up before all was written")
    func hasty() async throws {
        let folder = FileManager.default.temporaryDirectory.path
        let path = "\(folder)/hasty-\(UInt32.random(in: 0 ... .max))"
        let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Hasty())
                }
            }
            .bind(unixDomainSocketPath: path).get()
        for round in 0..<300 {
            let answer = try await APIClient(.socket(path: path)).send(
                "POST",
                "/api/v1/tokens",
                body: Data(count: round * 2_000)
            )
            #expect(answer.status == 200)
        }
        try await server.close()
    }
}
