/// ICMP types and codes of both families, as far as we send or understand them.
public enum ICMPType {
    /// 8 (RFC 792) or 128 (RFC 4443 4.1).
    @inlinable public static func echoRequest(_ family: IPFamily) -> UInt8 {
        switch family {
        case .ipv4: 8
        case .ipv6: 128
        }
    }

    /// 0 (RFC 792) or 129 (RFC 4443 4.2).
    @inlinable public static func echoReply(_ family: IPFamily) -> UInt8 {
        switch family {
        case .ipv4: 0
        case .ipv6: 129
        }
    }

    /// Destination unreachable: 3 (RFC 792) or 1 (RFC 4443 3.1).
    public static func unreachable(_ family: IPFamily) -> UInt8 {
        switch family {
        case .ipv4: 3
        case .ipv6: 1
        }
    }

    /// Time exceeded: 11 (RFC 792) or 3 (RFC 4443 3.3).
    public static func timeExceeded(_ family: IPFamily) -> UInt8 {
        switch family {
        case .ipv4: 11
        case .ipv6: 3
        }
    }

    /// ICMPv6 packet too big (RFC 4443 3.2); in IPv4 it is unreachable, code 4 (RFC 1191).
    public static var packetTooBig: UInt8 { 2 }

    /// Parameter problem: 12 (RFC 792) or 4 (RFC 4443 3.4).
    public static func parameterProblem(_ family: IPFamily) -> UInt8 {
        switch family {
        case .ipv4: 12
        case .ipv6: 4
        }
    }

    /// Whether the type is of those that no error may answer and that quote a packet: unreachable,
    /// source quench, redirect, time exceeded, parameter problem (RFC 1122 3.2.2); below 128, or
    /// redirect (RFC 4443 2.1 and 2.4 e).
    @inlinable public static func isError(_ type: UInt8, _ family: IPFamily) -> Bool {
        switch family {
        case .ipv4: type == 3 || type == 4 || type == 5 || type == 11 || type == 12
        case .ipv6: type < 128 || type == 137
        }
    }
}
