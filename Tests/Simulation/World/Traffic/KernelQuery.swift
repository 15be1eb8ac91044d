internal import Bytes
internal import DNS
internal import IP
internal import SansIO

/// A question that the client's daemon asks by a socket of the kernel, through the tunnel.
final class KernelQuery: Applications.Listener {
    /// How long the socket waits.
    private static let patience: Duration = .seconds(5)

    unowned let scene: Scene
    private let query: UpstreamQuery
    private var port: UInt16 = 0
    private var reply: (([UInt8]?) -> Void)?

    init(_ scene: Scene, _ query: UpstreamQuery, _ reply: @escaping ([UInt8]?) -> Void) {
        (self.scene, self.query, self.reply) = (scene, query, reply)
    }

    func begin() {
        // The simulated kernel has no TCP here; where it fails, datagrams are asked.
        guard query.transport == .datagram, let server = query.upstream.endpoint else {
            return end(nil)
        }
        port = scene.applications.port(.udp, self)
        let ip = IPHeader(
            from: scene.applications.address(server.address.family),
            to: server.address
        )
        let udp = UDPHeader(sourcePort: port, destinationPort: server.port)
        scene.world.note("the kernel asks \(server)")
        scene.world.after(Self.patience) { [self] in end(nil) }
        scene.client.send(ip.packet(udp, payload: query.bytes))
    }

    private func end(_ bytes: [UInt8]?) {
        guard let reply else { return }
        self.reply = nil
        if port != 0 { scene.applications.close(.udp, port) }
        reply(bytes)
    }

    func receive(_ packet: [UInt8], _ header: PacketHeader) {
        let bytes = Array(packet[header.payloadOffset...])
        scene.world.after(.zero) { [self] in end(bytes) }
    }

    func receive(error: Applications.Told, about quoted: PacketHeader) {
        scene.world.after(.zero) { [self] in end(nil) }
    }
}
