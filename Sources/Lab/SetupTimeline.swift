internal import Foundation

/// Where the time of a cold first packet goes: what was seen when on which host, from captures on
/// client, portal and gateway, which share one clock.
struct SetupTimeline: Sendable {
    /// One thing seen.
    struct Step: Sendable {
        let what: String
        /// In milliseconds after the first step.
        let time: Double
        /// In milliseconds after the step that caused it.
        let since: Double
    }

    let steps: [Step]

    /// When the packet reached the gateway, in milliseconds.
    var arrival: Double { steps.dropLast().last?.time ?? 0 }

    /// How long the wires had it, or what it waited for, in milliseconds: a line's delay, and what
    /// the machine adds that carries its frames.
    var wires: Double { Self.wires.reduce(0) { $0 + steps[$1].since } }

    /// Client to portal and back, client to gateway, back, and there again.
    private static let wires = [2, 8, 10, 12, 14]

    /// A packet as a capture saw it.
    private struct Sighting {
        let time: Double
        let host: String
        let way: Way
        let kind: String

        init?(line: Substring, host: String) {
            let words = line.split(separator: " ")
            guard words.count == 3, let time = Double(words[0]),
                let way = Way(rawValue: String(words[1]))
            else { return nil }
            (self.time, self.host, self.way, kind) = (time, host, way, String(words[2]))
        }
    }

    /// By which device a packet came or went.
    private enum Way: String {
        case arrives, leaves, intoTunnel, outOfTunnel
    }

    /// What is looked for: the first packet of `kind` after the step number `cause`.
    private struct Milestone {
        let what: String
        let host: String
        let way: Way
        let kind: String
        let cause: Int

        init(_ what: String, _ host: String, _ way: Way, _ kind: String, after cause: Int) {
            (self.what, self.host, self.way) = (what, host, way)
            (self.kind, self.cause) = (kind, cause)
        }
    }

    private static let milestones: [Milestone] = [
        .init("the application's first packet", "ada", .intoTunnel, "syn", after: 0),
        .init("authorize leaves the client", "ada", .leaves, "to-portal", after: 0),
        .init("… reaches the portal (20 ms)", "portal", .arrives, "from-client", after: 1),
        .init("grant leaves the portal", "portal", .leaves, "to-gateway", after: 2),
        .init("… reaches the gateway (10 ms)", "gateway1", .arrives, "from-portal", after: 3),
        .init("the resolver is asked", "gateway1", .leaves, "dns", after: 4),
        .init("… and has answered (5 ms)", "gateway1", .arrives, "dns", after: 5),
        .init("authorized leaves the portal", "portal", .leaves, "to-client", after: 2),
        .init("… reaches the client (20 ms)", "ada", .arrives, "from-portal", after: 7),
        .init("the initiation leaves the client", "ada", .leaves, "wireguard-1", after: 8),
        .init("… reaches the gateway (10 ms)", "gateway1", .arrives, "wireguard-1", after: 9),
        .init("its answer leaves the gateway", "gateway1", .leaves, "wireguard-2", after: 10),
        .init("… reaches the client (10 ms)", "ada", .arrives, "wireguard-2", after: 11),
        .init("the first data leave the client", "ada", .leaves, "wireguard-4", after: 12),
        .init("… reach the gateway (10 ms)", "gateway1", .arrives, "wireguard-4", after: 13),
        .init("the packet is out of the gateway", "gateway1", .outOfTunnel, "syn", after: 14),
    ]
}

extension SetupTimeline {
    /// The captures of one run.
    struct Captures {
        private let running: [(host: LabHost, capture: Running)]

        /// Starts one on each of `hosts`; the program's clock is the machine's.
        init(on hosts: [LabHost]) throws {
            running = try hosts.map { host in
                let script = try host.write("capture.py", SetupTimeline.script)
                return (host, try host.start("capture", ["python3", "-u", script]))
            }
            for (_, capture) in running { try capture.waitForOutput("captures") }
        }

        /// Waits for the packet that all is about, and reads what was seen.
        ///
        /// - Throws: ``LabError`` when a step is missing.
        func timeline() throws -> SetupTimeline {
            let isThere = Lab.waits(seconds: 10) {
                running.contains { host, capture in
                    host.title.hasPrefix("gateway") && capture.output.contains(" outOfTunnel syn")
                }
            }
            guard isThere else { throw LabError("No packet left the gateway's tunnel.") }
            // What the other captures have seen by then is written a moment later.
            _ = Lab.waits(seconds: 0.3) { false }
            for (_, capture) in running { capture.stop() }
            return try SetupTimeline(
                of: running.flatMap { host, capture in
                    capture.output.split(separator: "\n")
                        .compactMap { Sighting(line: $0, host: host.title) }
                }
                .sorted { $0.time < $1.time }
            )
        }
    }

    private init(of sightings: [Sighting]) throws {
        var found: [Double] = []
        var steps: [Step] = []
        for milestone in Self.milestones {
            let after = found.indices.contains(milestone.cause) ? found[milestone.cause] : 0
            let sighting = sightings.first {
                $0.time >= after && $0.host == milestone.host && $0.way == milestone.way
                    && $0.kind == milestone.kind
            }
            guard let sighting else { throw LabError("Not seen: \(milestone.what).") }
            found.append(sighting.time)
            steps.append(
                Step(
                    what: milestone.what,
                    time: (sighting.time - found[0]) * 1_000,
                    since: (sighting.time - (after == 0 ? found[0] : after)) * 1_000
                )
            )
        }
        self.steps = steps
    }

    /// One line a packet: time, ``Way``, kind.
    private static let script = """
        import socket, struct
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        tap.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        def kind(packet, outgoing, tunnel):
            if len(packet) < 28 or packet[0] >> 4 != 4:
                return None
            head = (packet[0] & 15) * 4
            source, destination = packet[12:16], packet[16:20]
            ports = struct.unpack("!HH", packet[head:head + 4])
            if packet[9] == 6:
                if tunnel:
                    return "syn" if packet[head + 13] & 0x12 == 2 else None
                offset = head + (packet[head + 12] >> 4) * 4
                if struct.unpack("!H", packet[2:4])[0] <= offset or 8443 not in ports:
                    return None
                remote = destination if outgoing else source
                way = "to" if outgoing else "from"
                names = {bytes([203, 0, 113, 10]): "portal", bytes([203, 0, 113, 66]): "client",
                         bytes([203, 0, 113, 70]): "gateway"}
                return f"{way}-{names.get(bytes(remote), '?')}"
            if packet[9] == 17 and not tunnel:
                if 53 in ports:
                    return "dns"
                data = packet[head + 8:]
                if len(data) > 8 and data[0] & 0xf0 == 0x40:
                    data = data[4:]  # channel data
                if data[1:4] == bytes(3) and 1 <= data[0] <= 4:
                    return f"wireguard-{data[0]}"
            return None
        print("captures")
        while True:
            packet, notes, _, address = tap.recvmsg(65536, 256)
            outgoing, tunnel = address[2] == 4, address[0] == "culvert0"
            what = kind(packet, outgoing, tunnel)
            if what and address[0] != "lo":
                seconds, nanoseconds = struct.unpack("qq", notes[0][2][:16])
                way = (("outOfTunnel", "intoTunnel") if tunnel else ("arrives", "leaves"))[outgoing]
                print(f"{seconds}.{nanoseconds:09} {way} {what}")
        """
}
