internal import IP

/// Which resource the later fragments of a datagram are for: they carry no ports, so they follow
/// the first one, which the kernel sends first.
struct FragmentedDatagrams {
    enum Limits {
        /// Datagrams in fragments at a time.
        static let datagrams = 64
    }

    private struct Entry {
        var source: IPAddress
        var destination: IPAddress
        var transport: TransportProtocol
        var identification: UInt32
        var choice: Router.Choice

        func isOf(_ header: PacketHeader) -> Bool {
            source == header.source && destination == header.destination
                && transport == header.transportProtocol && identification == header.identification
        }
    }

    private var entries: [Entry] = []
    private var oldest = 0

    /// The first fragment of a datagram went there.
    mutating func note(_ header: PacketHeader, _ choice: Router.Choice) {
        let entry = Entry(
            source: header.source,
            destination: header.destination,
            transport: header.transportProtocol,
            identification: header.identification,
            choice: choice
        )
        if let same = entries.firstIndex(where: { $0.isOf(header) }) {
            entries[same] = entry
        } else if entries.count < Limits.datagrams {
            entries.append(entry)
        } else {
            entries[oldest] = entry
            oldest = (oldest + 1) % entries.count
        }
    }

    /// Where the first fragment of a later one's datagram went; nil: it was not seen.
    func choice(for header: PacketHeader) -> Router.Choice? {
        entries.first { $0.isOf(header) }?.choice
    }
}
