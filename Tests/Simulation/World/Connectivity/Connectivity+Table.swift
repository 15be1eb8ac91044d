internal import SansIO

extension Connectivity {
    /// The page `docs/connectivity.md`.
    public var page: String {
        var lines = Self.opening
        lines.append(
            "| client ＼ gateway | " + NetworkKind.all.map(\.name).joined(separator: " | ") + " |"
        )
        lines.append(String(repeating: "|---", count: NetworkKind.all.count + 1) + "|")
        for client in NetworkKind.all {
            let row = cells.filter { $0.client == client.name }.map(\.text)
            lines.append("| \(client.name) | " + row.joined(separator: " | ") + " |")
        }
        lines += closing
        return lines.joined(separator: "\n") + "\n"
    }

    private static let opening = """
        # Connectivity

        How a client and a gateway reach each other, for every pair of networks that they can be in.
        `culvert-simulate --connectivity --write docs/connectivity.md` makes this page, and
        `make test` fails when it is not what the code does.

        The real cores of client, gateway and relay meet in a simulated world: 50 ms one way between
        any two networks and to the portal, one relay. Everything is up and quiet; then a program
        sends its first datagram to a protected name. **D** is a direct path, R one through the
        relay, and the number is the time in seconds from that datagram to its answer:
        authorization, look-up, handshake and the way there and back.

        NATs are named after RFC 4787, mapping before filtering: **EI** endpoint-independent,
        **AD** address-dependent, **APD** address-and-port-dependent; ports outside go by chance,
        and nothing is kept alive from outside. *public* has an IPv4 address of its own, *no UDP*
        is a NAT that lets no UDP out, *v6* is IPv6 alone behind a firewall of that filtering,
        *dual* has IPv6 behind the strictest firewall and IPv4 behind the strictest NAT.

        """.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)

    private var closing: [String] {
        let direct = cells.filter(\.isDirect).count
        let slowest = cells.compactMap(\.connected).max() ?? .zero
        let latest = cells.filter(\.isDirect).map(\.settled).max() ?? .zero
        return [
            "",
            "\(cells.count) pairs: \(direct) direct, \(cells.count - direct) through the relay; "
                + "the slowest first answer came after \(Self.seconds(slowest)) s.",
            "Some pairs begin through the relay and go over to the direct path while packets flow, "
                + "after \(Self.seconds(latest)) s at most.",
            "",
            "What theory says: two ends reach each other directly when both mappings are "
                + "endpoint-independent, when one is and that end's filter looks at addresses at "
                + "most, or when neither is, one end filters nothing and the other by address at "
                + "most. Everything else, and everything without UDP or without a common family, "
                + "needs a relay. The test compares each pair with that rule.",
        ]
    }

    /// Tenths of a second, rounded up: small changes do not move them.
    static func seconds(_ duration: Duration) -> String {
        let tenths = (duration.nanoseconds + 99_999_999) / 100_000_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}

extension Connectivity.Cell {
    /// How the table says it.
    public var text: String {
        let time = connected.map { Connectivity.seconds($0) } ?? "never"
        return isDirect ? "**D** \(time)" : "R \(time)"
    }
}
