internal import CLinux
internal import Glibc
internal import IP

extension IPAddress {
    /// A link-local address of IPv6 with its link: `fe80::1` of link 2 is written `fe80:0:2::1`, as
    /// kernels of the KAME line do, since 32 bits behind its prefix are always zero. It never
    /// leaves this host. Other addresses stay as they are.
    func onLink(_ link: UInt32) -> IPAddress {
        guard !isIPv4, high == 0xfe80 << 48 else { return self }
        return IPAddress(high: high | UInt64(link) << 16, low: low)
    }

    /// The link that ``onLink(_:)`` wrote.
    var link: UInt32? {
        guard !isIPv4, high >> 48 == 0xfe80, high & 0xffff == 0 else { return nil }
        let link = UInt32(truncatingIfNeeded: high >> 16)
        return link == 0 ? nil : link
    }

    /// An address as resolv.conf(5) has it: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`.
    init?(nameserver text: String) {
        let parts = text.split(separator: "%", maxSplits: 1).map(String.init)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard parts.count == 2 else {
            self = address
            return
        }
        let index = unsafe if_nametoindex(parts[1])
        let number = index > 0 ? index : UInt32(parts[1]) ?? 0
        guard number > 0, !address.isIPv4 else { return nil }
        self = address.onLink(number)
    }

    /// Whether it is a link-local one of IPv6 without its link, which leads nowhere.
    var isWithoutLink: Bool { !isIPv4 && isLinkLocal && link == nil }
}
