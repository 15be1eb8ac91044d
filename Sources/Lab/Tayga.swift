internal import Foundation

/// One input to both translators, and what tayga made of it.
public struct TaygaCase: Sendable {
    /// What is tried, in a word or two.
    public let group: String
    /// Which input.
    public let name: String
    /// The packets, one after the other.
    public let packets: [[UInt8]]
    /// What came out.
    public let answers: [[UInt8]]
}

/// Debian's tayga, a stateless translator (RFC 6145) that others wrote, in a namespace of its own.
///
/// Packets go straight to its tunnel device and come straight from it; no kernel routes them. What
/// belongs to which packet is known by a marker sent behind each.
public struct Tayga {
    /// The translator's own addresses.
    public static let own = (ipv4: "192.168.255.1", ipv6: "2001:db8:ffff::1")
    /// IPv4 addresses of which the IPv6 addresses are listed.
    public static let maps = [
        ("192.0.2.10", "2001:db8:1::10"), ("198.51.100.20", "2001:db8:2::20"),
        ("203.0.113.1", "2001:db8:3::1"),
    ]
    /// Every other IPv4 address is mapped into this prefix, of 96 bits.
    public static let prefix = "2001:db8:64::"
    /// What its links carry, in bytes.
    public static let byteCountMax = 1_500
    private static let device = "nat64"

    private let network: Network
    private let host: LabHost

    /// A namespace with tayga running.
    ///
    /// - Throws: ``LabError`` when it does not start.
    public init(name: String = "tayga") throws {
        network = try Network(name: name)
        host = try network.host("tayga")
        do {
            try start()
        } catch {
            network.remove()
            throw error
        }
    }

    private func start() throws {
        let maps = Self.maps.map { "map \($0.0) \($0.1)" }.joined(separator: "\n")
        let configuration = try host.write(
            "tayga.conf",
            """
            tun-device \(Self.device)
            ipv4-addr \(Self.own.ipv4)
            ipv6-addr \(Self.own.ipv6)
            prefix \(Self.prefix)/96
            \(maps)
            """
        )
        // The kernel is to say nothing of its own.
        for scope in ["all", "default"] {
            try host.must("sysctl", "-qw", "net.ipv6.conf.\(scope).disable_ipv6=1")
        }
        try host.must("tayga", "--mktun", "-c", configuration)
        try host.must("ip", "link", "set", Self.device, "mtu", "\(Self.byteCountMax)", "up")
        try Self.run(on: host, configuration, device: Self.device)
    }

    /// Starts it, and waits until it has the device; it says so only when it ends.
    ///
    /// - Throws: ``LabError`` when it does not take the device.
    static func run(on host: LabHost, _ configuration: String, device: String) throws {
        let tayga = try host.start("tayga", ["tayga", "-d", "-c", configuration])
        let hasDevice = try Lab.waits(seconds: 10) {
            try host.run("ip", "-o", "link", "show", device).output.contains("LOWER_UP")
        }
        guard hasDevice else { throw LabError("tayga does not start: \(tayga.output)") }
    }

    /// Makes the packets and puts them through.
    ///
    /// - Returns: Each with what became of it.
    /// - Throws: ``LabError`` when the script fails, or tayga does not answer any more.
    public func translate() throws -> [TaygaCase] {
        let script = try host.write("packets.py", TaygaScript.text)
        let path = host.folder + "/cases"
        try host.must("/usr/bin/python3", script, Self.device, path)
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try text.split(separator: "\n").map { line in
            let row = try JSONDecoder().decode(Row.self, from: Data(line.utf8))
            return TaygaCase(
                group: row.group,
                name: row.name,
                packets: row.packets.map(Self.bytes),
                answers: row.answers.map(Self.bytes)
            )
        }
    }

    /// Ends tayga and takes the namespace away.
    public func remove() { network.remove() }

    private struct Row: Decodable {
        let group: String
        let name: String
        let packets: [String]
        let answers: [String]
    }

    private static func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
