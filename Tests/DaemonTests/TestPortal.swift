internal import Control
internal import Crypto
internal import Daemon
internal import Foundation
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket
internal import SwiftASN1
internal import Synchronization
internal import Testing
internal import X509

/// The end of a control channel: takes every connection, tells what comes, answers nothing by
/// itself but pings.
final class TestPortal: Sendable {
    enum Event: Sendable, Equatable {
        case opened
        case ping
        /// A text frame.
        case text(String)
        /// The close frame's code.
        case close(UInt16)
    }

    private let server: any Channel
    private let events: AsyncStream<Event>
    private let muted: Muted
    private let authority: [UInt8]

    final class Muted: Sendable { let value = Mutex(false) }

    init() async throws {
        let (chain, key, authority) = try Self.certificate()
        self.authority = authority
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
        )
        let (stream, continuation) = AsyncStream.makeStream(of: Event.self)
        events = stream
        let muted = Muted()
        self.muted = muted
        server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLServerHandler(context: context))
                    let upgrader = NIOWebSocketServerUpgrader(
                        shouldUpgrade: { channel, _ in channel.eventLoop.makeSucceededFuture([:]) },
                        upgradePipelineHandler: { channel, _ in
                            channel.eventLoop.makeCompletedFuture {
                                try channel.pipeline.syncOperations.addHandler(
                                    Handler(continuation, muted)
                                )
                            }
                        }
                    )
                    try pipeline.configureHTTPServerPipeline(
                        withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in })
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    deinit { server.close(promise: nil) }

    /// From now on all that comes is swallowed, as by a network that is not there any more.
    func fallSilent() { muted.value.withLock { $0 = true } }
    func wake() { muted.value.withLock { $0 = false } }

    func next() async -> Event? {
        for await event in events { return event }
        return nil
    }

    /// A gateway's token for it.
    func token() throws -> Token {
        let port = try #require(server.localAddress?.port)
        let url = try #require(PortalURL("https://127.0.0.1:\(port)"))
        let secret = [UInt8](repeating: 7, count: Token.Limits.secretByteCount)
        return try #require(Token(kind: .gateway, url: url, fingerprint: authority, secret: secret))
    }

    private static func certificate() throws -> (
        chain: [NIOSSLCertificate], key: NIOSSLPrivateKey, authority: [UInt8]
    ) {
        let (root, leaf) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        let name = try DistinguishedName { CommonName("Test authority") }
        func make(
            _ key: P256.Signing.PrivateKey,
            _ subject: DistinguishedName,
            _ extensions: Certificate.Extensions
        ) throws -> Certificate {
            try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: Certificate.PublicKey(key.publicKey),
                notValidBefore: .now.addingTimeInterval(-60),
                notValidAfter: .now.addingTimeInterval(3_600),
                issuer: name,
                subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: extensions,
                issuerPrivateKey: Certificate.PrivateKey(root)
            )
        }
        let authority = try make(
            root,
            name,
            Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
            }
        )
        let address = ASN1OctetString(contentBytes: [127, 0, 0, 1])
        let server = try make(
            leaf,
            try DistinguishedName { CommonName("Test portal") },
            Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                SubjectAlternativeNames([.ipAddress(address)])
            }
        )
        let pem =
            try server.serializeAsPEM().pemString + "\n" + authority.serializeAsPEM().pemString
        var bytes = DER.Serializer()
        try bytes.serialize(authority)
        return (
            try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)),
            try NIOSSLPrivateKey(bytes: Array(leaf.pemRepresentation.utf8), format: .pem),
            Array(SHA256.hash(data: bytes.serializedBytes))
        )
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = WebSocketFrame
        typealias OutboundOut = WebSocketFrame

        private let events: AsyncStream<Event>.Continuation
        private let muted: Muted

        init(_ events: AsyncStream<Event>.Continuation, _ muted: Muted) {
            (self.events, self.muted) = (events, muted)
        }

        func handlerAdded(context: ChannelHandlerContext) { events.yield(.opened) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !muted.value.withLock({ $0 }) else { return }
            let frame = unwrapInboundIn(data)
            switch frame.opcode {
            case .text: events.yield(.text(String(buffer: frame.unmaskedData)))
            case .ping:
                events.yield(.ping)
                let pong = WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)
                context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
            case .connectionClose:
                var data = frame.unmaskedData
                events.yield(.close(data.readInteger() ?? 0))
                context.close(promise: nil)
            default: break
            }
        }
    }
}
