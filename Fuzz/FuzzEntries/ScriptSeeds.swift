internal import Bytes
internal import DNS
internal import IP
internal import Peering

enum PeeringSeeds {
    private static let packet = IPHeader(
        from: IPAddress(ipv4: 0x6440_0001),
        to: IPAddress(ipv4: 0x6440_0002)
    ).packet(UDPHeader(sourcePort: 1, destinationPort: 2), payload: [1, 2, 3])

    private static let frames: [ControlFrame] = [
        .probe(number: 1), .probeAnswer(number: 1), .path(number: 2),
        .names(.init(epoch: 1, resource: "r", name: "a.test", proxies: GatewayPlay.proxies)),
        .namesAnswer(
            .init(epoch: 1, resource: "r", name: "a.test", status: .active, families: [.ipv4])
        ),
        .release(.init(epoch: 2, name: "a.test", proxies: GatewayPlay.proxies)),
        .goodbye(.draining),
    ]

    /// Each role: every frame and a packet both ways, time, candidates, removal.
    static var all: Seeds {
        var seeds: Seeds = []
        for role in 0...1 as ClosedRange<UInt8> {
            for (number, frame) in frames.enumerated() {
                var script = ScriptWriter([role])
                script.step([1, 0], frame.bytes)
                script.step(0, 6, 19)
                script.step([5], frame.bytes)
                seeds.append(("role-\(role)-frame-\(number)", script.bytes))
            }
            var script = ScriptWriter([role])
            script.step([1, 0], packet)
            script.step(1)
            script.step(3, 0, 20, 1, 0)
            script.step([4, 0], packet)
            script.step([1, 1, 0, 9, 0, 80], packet)
            script.step(0, 9, 10, 6, 27, 15, 14, 0, 6, 25, 13, 6, 31, 15)
            script.step(7, 2, 3, 0, 9, 1, 7, 0, 8, 1, 0, 9, 0, 1, 7, 0, 0, 9, 8, 1)
            seeds.append(("role-\(role)-life", script.bytes))
        }
        var pair = ScriptWriter([2, 0, 0, 0, 0, 0, 0])
        pair.step([6], [1, 2, 3])
        pair.step([7], [4, 5])
        pair.step(0, 0, 0, 3, 2, 0, 1, 2, 3, 2, 0, 1, 0, 4, 5, 25, 1, 0, 5, 31, 0, 0, 0, 0)
        seeds.append(("pair", pair.bytes))
        return seeds
    }
}

enum ClientSeeds {
    /// The life of a resource: packet, decision, session, packets both ways, its end.
    private static var life: ScriptWriter {
        var script = ScriptWriter([0])
        script.step([1, 1, 0, 9, 1, 187], [])
        script.step(12, 0, 0)
        script.step(10, 14)
        script.step([9, 0, 0, 0, 1, 187, 64], [1, 2, 3])
        script.step([1, 0, 0, 9, 0, 53], [4, 5, 6])
        return script
    }

    static var all: Seeds {
        var seeds: Seeds = []
        func add(_ name: String, _ change: (inout ScriptWriter) -> Void) {
            var script = life
            change(&script)
            seeds.append((name, script.bytes))
        }
        add("life") { _ in }
        add("name") { script in
            script.step([1, 1, 4, 9, 1, 187], [])
            script.step(12, 0, 0)
            script.step(10, 14)
            script.step([9, 0, 4, 0, 1, 187, 64], [1])
        }
        add("stranger") { $0.step([9, 0, 0, 128, 1, 1, 187, 2], [1]) }
        add("spoofed") { $0.step([9, 0, 1, 0, 1, 187, 2], [1]) }
        add("denied") { $0.step(12, 3, 0) }
        add("notices") { script in
            for kind in 0..<6 as Range<UInt8> { script.step(13, 0, 0, kind, 0, kind, 0, 0) }
        }
        add("frames") { script in
            for kind in 0..<4 as Range<UInt8> { script.step(11, 0, kind, 1, 1, 1, 1, 1) }
        }
        add("silence") { script in
            for _ in 0..<6 {
                script.step([1, 0, 0, 9, 0, 53], [4, 5, 6])
                script.step(10, 21)
            }
        }
        add("host") { script in
            for kind in 0..<5 as Range<UInt8> { script.step(14, kind, 1, 1, 0, 9) }
            script.step(14, 5)
        }
        add("replayed") { $0.step(8, 0, 0, 20, 0, 8, 0, 0, 20, 1) }
        seeds.append(("queries", queries.bytes))
        for (name, bytes) in ControlSeeds.toClient {
            add("message-\(name)") { $0.step([13, 1], bytes) }
        }
        return seeds
    }

    private static var queries: ScriptWriter {
        var script = ScriptWriter([0])
        for (name, type) in [("c.test", RecordType.aaaa), ("example.com", .a), ("a.test", .https)] {
            let query = DNSMessages.query(name, type).wire()
            script.step([2, 0, 20, 233], query)
            script.step([3, 0], query)
        }
        let answer = DNSMessages.answer("example.com", IPAddress(ipv4: 0x0505_0505))
        script.step([4, 0, 2], answer)
        script.step(4, 1, 4, 0, 9, 2, 1, 1, 2, 3, 4, 2, 1, 1, 1)
        script.step(10, 25, 10, 26)
        script.step([15], Array("a.test:443".utf8))
        script.step([15], Array("10.2.0.1".utf8))
        return script
    }
}

enum GatewaySeeds {
    static var all: Seeds {
        var seeds: Seeds = []
        func add(_ name: String, _ change: (inout ScriptWriter) -> Void) {
            var script = ScriptWriter([0])
            change(&script)
            seeds.append((name, script.bytes))
        }
        // To a proxy of the name, to the network, to the gateway; and what comes back.
        for kind in 0..<3 as Range<UInt8> {
            for destination in [0, 2, 3, 4] as [UInt8] {
                add("packet-\(kind)-\(destination)") { script in
                    script.step([1, kind, destination, 9, 1, 187], [1, 2, 3])
                    script.step([7, kind, 0], [4, 5, 6])
                    script.step([7, 3, 0], [])
                    script.step(11, 27)
                    script.step([1, kind | 4, destination, 9, 1, 187], [1, 2, 3])
                }
            }
        }
        add("names") { script in
            script.step(3, 0, 1)
            script.step([3, 1, 2], Array("c.test".utf8))
            script.step(10, 0, 4, 0, 9, 2, 1, 9, 8, 7, 6, 0, 1)
            script.step([1, 0, 0, 9, 0, 53], [1])
            script.step(3, 4, 3, 11, 27)
        }
        add("error") { script in
            let body = IPHeader(from: GatewayPlay.proxies[0], to: GatewayPlay.client)
                .packet(UDPHeader(sourcePort: 53, destinationPort: 9), payload: [1])
            script.step([1, 0, 0, 9, 0, 53], [1, 2, 3])
            script.step([2, 0, 3, 3, 0, 0, 0, 0], body)
        }
        add("large") { script in
            script.step([1, 1, 3, 9, 1, 187], [])
            script.step([7, 0x12 << 2 | 1, 0], [])
            script.step([7, 0x10 << 2 | 1, 0], [UInt8](repeating: 1, count: 1_400))
        }
        for kind in 0..<8 as Range<UInt8> {
            add("order-\(kind)") { script in
                script.step([1, 0, 0, 9, 0, 53], [1])
                script.step(12, kind, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0)
                script.step([1, 0, 0, 9, 0, 53], [1])
            }
        }
        add("host") { script in
            for kind in 0..<4 as Range<UInt8> { script.step(14, kind, 1, 1, 0, 9, 0, 1, 0) }
        }
        // Questions for the site: of a granted name, of another, on connections; and what comes.
        for type in [16, 33, 48, 255] as [UInt8] {
            for name in ["a.test", "b.example", "secret.example"] {
                add("query-\(type)-\(name)") { script in
                    script.step([1, 4, 4, 9, 0, type], Array(name.utf8))
                    script.step(10, 0, 4, 0, 1, 9, 0, 0)
                    script.step([14, 4, 1, 0, type], Array(name.utf8))
                    script.step(10, 0, 5, 1, 11, 27)
                }
            }
        }
        add("search") { script in
            script.step([14, 1], Array("h.test".utf8))
            script.step(1, 0, 9, 1, 1, 0, 53)
            script.step([41], Array("test".utf8))
            script.step([1, 4, 4, 9, 0, 16], Array("a".utf8))
            script.step(11, 27, 14, 5, 1)
            script.step([1, 1, 4, 9, 0, 53], [])
        }
        add("shutdown") { $0.step(14, 3, 1) }
        add("frames") { $0.step(4, 1, 4, 0, 14, 3, 0, 4, 3) }
        add("replayed") { $0.step(5, 0, 20, 0, 5, 0, 20, 1) }
        add("storage") { $0.step([15], [1, 0, 0, 0, 0]) }
        for (name, bytes) in ControlSeeds.toGateway {
            add("message-\(name)") { $0.step([13], bytes) }
        }
        return seeds
    }
}
