internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import SwiftASN1
internal import Synchronization
internal import X509

/// TLS towards a nameserver, strict (RFC 8310 section 5): without a certificate that stands for
/// the name or address that the admin wrote, nothing is asked.
final class UpstreamTLS: Sendable {
    /// What is spoken inside.
    enum Inside: String, Sendable {
        /// DNS over TLS (RFC 7858); a server may leave the word out.
        case dot
        /// HTTP/2; a server must answer the word.
        case h2
    }

    private let host: String
    private let inside: Inside
    private let authorities: @Sendable () -> [Certificate]
    private let fault = Mutex<CertificateCheck.Fault?>(nil)

    init(host: String, inside: Inside, authorities: @escaping @Sendable () -> [Certificate]) {
        (self.host, self.inside, self.authorities) = (host, inside, authorities)
    }

    /// Adds TLS to a new channel, on its loop.
    ///
    /// - Returns: Succeeds once the server has proven who it is; fails with ``UpstreamFailure``.
    func greet(on channel: any Channel) throws -> EventLoopFuture<Void> {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = [inside.rawValue]
        // The callback below decides by the machine's authorities; none is read here for nothing.
        configuration.trustRoots = .certificates([])
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        let handler = try NIOSSLClientHandler(
            context: try NIOSSLContext(configuration: configuration),
            serverHostname: isAddress ? nil : host,
            customVerificationCallback: { [self] chain, promise in
                promise.completeWithTask { await self.verify(chain) }
            }
        )
        let greeted = channel.eventLoop.makePromise(of: Void.self)
        let greeting = Greeting(greeted, inside) { [self] in failure(for: $0) }
        try channel.pipeline.syncOperations.addHandlers([handler, greeting])
        return greeted.futureResult
    }

    private func verify(_ chain: [NIOSSLCertificate]) async -> NIOSSLVerificationResult {
        do {
            let certificates = try chain.map { try Certificate(derEncoded: $0.toDERBytes()) }
            try await CertificateCheck.verify(certificates, for: host, authorities())
            return .certificateVerified
        } catch {
            let found = error as? CertificateCheck.Fault ?? .unreadable
            fault.withLock { $0 = found }
            return .failed
        }
    }

    private func failure(for error: any Error) -> UpstreamFailure {
        fault.withLock { $0 }.map { .certificate($0.words) } ?? UpstreamFailure(connecting: error)
    }

    /// Waits for the end of the handshake.
    private final class Greeting: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let greeted: EventLoopPromise<Void>
        private let inside: Inside
        private let failure: (any Error) -> UpstreamFailure
        private var timer: Scheduled<Void>?
        private var isDone = false

        init(
            _ greeted: EventLoopPromise<Void>,
            _ inside: Inside,
            _ failure: @escaping (any Error) -> UpstreamFailure
        ) {
            (self.greeted, self.inside, self.failure) = (greeted, inside, failure)
        }

        func channelActive(context: ChannelHandlerContext) {
            let this = NIOLoopBound(self, eventLoop: context.eventLoop)
            let channel = context.channel
            // A server that accepts and then says nothing holds nobody up for longer.
            timer = context.eventLoop.scheduleTask(in: UpstreamTarget.Limits.time) {
                this.value.end(.failure(UpstreamFailure.silent))
                channel.close(promise: nil)
            }
            context.fireChannelActive()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .handshakeCompleted(let word)? = event as? TLSUserEvent {
                if inside == .h2, word != inside.rawValue {
                    end(.failure(UpstreamFailure.noHTTP2))
                    return context.close(promise: nil)
                }
                end(.success(()))
            }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            end(.failure(failure(error)))
            context.fireErrorCaught(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            end(.failure(failure(UpstreamFailure.closed(hasAnswered: false))))
            context.fireChannelInactive()
        }

        func handlerRemoved(context: ChannelHandlerContext) {
            end(.failure(failure(UpstreamFailure.closed(hasAnswered: false))))
        }

        private func end(_ result: Result<Void, any Error>) {
            guard !isDone else { return }
            isDone = true
            timer?.cancel()
            greeted.completeWith(result)
        }
    }
}
