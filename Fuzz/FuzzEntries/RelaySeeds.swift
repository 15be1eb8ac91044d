internal import Bytes
internal import IP
internal import STUN
internal import SansIO

enum RelaySeeds {
    static var all: Seeds {
        var seeds: Seeds = []
        func add(_ name: String, flags: UInt8 = 0, _ change: (inout ScriptWriter) -> Void) {
            var script = ScriptWriter([flags])
            change(&script)
            seeds.append((name, script.bytes))
        }
        // A channel and a permission, data both ways, time, the end.
        for client in 0..<3 as Range<UInt8> {
            add("life-\(client)") { script in
                script.step(0, 3, client, 0, 0, 2, client, 1)
                script.step([4, client, 0], [1, 2, 3])
                script.step([5, client, 1], [4, 5])
                script.step([6, client, 0, 0], [6, 7, 8])
                script.step([6, client, 1, 2], [6, 7, 8, 9])
                script.step(8, 8, 8, 28, 8, 30, 0, 1, client, 0, 9, client)
            }
        }
        // The first one's data go to the second one's allocation.
        for family in 2...3 as ClosedRange<UInt8> {
            add("meeting-\(family)") { script in
                script.step(0, 3, 0, family, 1, 0, 2, 1, family, 0)
                script.step([4, 0, 0], [1, 2, 3])
                script.step(0, 3, 1, family, 0)
                script.step([4, 0, 0], [1, 2, 3])
                script.step([4, 1, 0], [4])
                script.step(0, 5, 1, 0, 0)
                script.step([4, 0, 0], [1])
            }
        }
        add("refused") { script in
            script.step(0, 2, 0, 4, 0, 0x83, 1, 5, 11, 0, 0, 2, 0, 4, 0, 3, 0, 4)
            script.step([4, 0, 0], [1])
            script.step(11, 1)
            script.step([4, 0, 0], [1])
            script.step([5, 0, 4], [1])
        }
        add("orders") { script in
            for kind in 0..<16 as Range<UInt8> {
                script.step(11, kind, 0, 0, 0, 9, 0, 3, 0, 0)
                script.step([4, 0, 0], [1, 2])
            }
        }
        add("silent-host", flags: 4) { script in
            script.step(9, 1, 0, 0, 0, 4, 0, 8, 1, 0x80, 10, 0, 0, 0, 2)
            script.step(9, 4, 9, 12, 8, 23, 9, 4, 10, 1)
        }
        add("few-ports", flags: 8) { script in
            script.step(0, 8, 0, 0x80, 1, 1, 0, 0, 12, 1, 0x80, 8, 25, 9, 0, 0)
        }
        add("quotas", flags: 16) { script in
            script.step(0, 3, 0, 0)
            for _ in 0..<9 { script.step([4, 0, 0], [UInt8](repeating: 1, count: 100)) }
        }
        add("shutdown") { $0.step(13, 1, 0, 0, 0) }
        add("replayed") { $0.step(0, 3, 0, 0, 12, 0, 0, 9, 4, 12, 0, 0, 0, 0) }
        for (name, bytes) in messages {
            add("client-\(name)") { $0.step([2, 0], bytes) }
            add("stranger-\(name)", flags: 4) { script in
                script.step([3, 0, 9, 1, 1], bytes)
                script.step([3, 0, 9, 1, 1], bytes)
                script.step([7, 0, UInt8(bytes.count)], bytes + bytes + [1])
            }
        }
        add("attributes") { script in
            script.step(1, 0, 3, 3)
            script.step([0, 0x19], [17, 0, 0, 0])
            script.step([0, 0x22], [1, 2, 3, 4, 5, 6, 7, 8])
            script.step([0x7a, 0xbc], [1])
        }
        return seeds
    }

    /// One of each kind, as a client without credentials makes it.
    private static var messages: Seeds {
        var all: Seeds = []
        let methods: [(String, STUNMethod)] = [
            ("binding", .binding), ("allocate", .allocate), ("refresh", .refresh),
            ("permission", .createPermission), ("bind", .channelBind), ("send", .send),
        ]
        for (index, (name, method)) in methods.enumerated() {
            let transaction = TransactionID(high: 1, low: UInt64(index))
            let kind: STUNClass = method == .send ? .indication : .request
            var writer = STUNWriter(kind, method, transaction)
            if method == .allocate { writer.append(requestedTransport: 17) }
            if index > 2 {
                writer.append(.xorPeerAddress, Endpoint(IPAddress(ipv4: 0x0808_0808), port: 9))
                writer.append(channel: 0x4000)
                writer.append(.data, [1, 2, 3])
            }
            all.append((name, writer.bytes))
            writer.append(.username, "1800000001:a")
            writer.append(.realm, "culvert")
            writer.append(.nonce, "obMatJos2gAAAxxxxxxxxxxxxxxxx")
            writer.seal(.sha256, key: [1].rawSpan)
            writer.appendFingerprint()
            all.append((name + "-signed", writer.bytes))
        }
        return all
    }
}
