internal import ArgumentParser
internal import Daemon
internal import Foundation
internal import IP
internal import Linux

/// `culvert lab nat64`: a stateless translator at a tunnel device, for the benchmark.
struct NAT64Command: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nat64",
        abstract: "Translates between the families at one tunnel device.",
        shouldDisplay: false
    )

    @Option(help: "The name of the tunnel device.")
    var device = "nat64"

    @Option(help: "Bytes of the largest packet.")
    var mtu: UInt32 = 1_500

    @Option(help: "A host's addresses, as IPv4=IPv6; any number of times.")
    var map: [String] = []

    func run() async throws {
        let device = try TunnelDevice(name: device)
        try device.configure(mtu: mtu)
        var random = Kernel.randomSource()
        let plane = try DataPlane(
            machine: NAT64Machine(maps: try map.map(Self.addresses), random: &random),
            tunnel: device,
            sockets: try UDPSockets(preferredPort: 51_830),
            onOutput: { _ in },
            onNote: { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        )
        LabCommand.say("ready")
        Interruption.wait()
        await plane.stop()
    }

    private static func addresses(_ text: String) throws -> (ipv4: IPAddress, ipv6: IPAddress) {
        let parts = text.split(separator: "=").compactMap { IPAddress(String($0)) }
        guard parts.count == 2, parts[0].isIPv4, !parts[1].isIPv4 else {
            throw Sentence("\(text) is not an IPv4 and an IPv6 address.", exit: .usedWrongly)
        }
        return (parts[0], parts[1])
    }
}
