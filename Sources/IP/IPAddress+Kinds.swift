extension IPAddress {
    /// 224.0.0.0/4 (RFC 1112) or ff00::/8 (RFC 4291 2.7).
    public var isMulticast: Bool { isIPv4 ? ipv4 >> 28 == 0xe : high >> 56 == 0xff }

    /// 255.255.255.255 (RFC 919); IPv6 has none.
    public var isBroadcast: Bool { isIPv4 && ipv4 == .max }

    /// 0.0.0.0 or `::`.
    public var isUnspecified: Bool { isIPv4 ? ipv4 == 0 : high == 0 && low == 0 }

    /// 127.0.0.0/8 or `::1`.
    public var isLoopback: Bool { isIPv4 ? ipv4 >> 24 == 127 : high == 0 && low == 1 }

    /// 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291 2.5.6).
    public var isLinkLocal: Bool { isIPv4 ? ipv4 >> 16 == 0xa9fe : high >> 54 == 0xfe80 >> 6 }
}
