/// A router between a local network and the internet: NAT for IPv4, a stateful firewall for IPv6.
public struct Router: Sendable {
    /// How it maps a local address and port to its own (RFC 4787).
    public enum Mapping: String, Sendable {
        /// The source port is kept where free; only who was written to may answer.
        case preserving
        /// The source port is kept, and everybody may write to it while it is mapped.
        case fullCone
        /// A new random port for each destination.
        case symmetric
    }

    /// The router itself.
    public let host: LabHost
    private let wan: String
    private let lan: String
    private let mapping: Mapping
    private let blocksUDP: Bool

    /// - Parameters:
    ///   - host: Has both interfaces already.
    ///   - wan: The interface on the internet.
    ///   - lan: The interface towards its clients.
    ///   - mapping: How it translates IPv4.
    ///   - blocksUDP: Whether no UDP but DNS passes.
    /// - Throws: ``LabError`` when the rules are not taken.
    public init(
        _ host: LabHost,
        wan: String,
        lan: String,
        mapping: Mapping,
        blocksUDP: Bool = false
    ) throws {
        (self.host, self.wan, self.lan) = (host, wan, lan)
        (self.mapping, self.blocksUDP) = (mapping, blocksUDP)
        try host.forwards()
        try load()
    }

    /// Forgets every mapping; with `renumbers` every new one gets another port.
    public func resetMappings(renumbers: Bool) throws {
        if renumbers { try load(portBase: 100 * Int.random(in: 200...600)) }
        try host.run("conntrack", "-F")
    }

    /// Forgets what it knows of UDP, as a router does that runs out of memory.
    public func forgetUDP() throws { try host.run("conntrack", "-D", "-p", "udp") }

    /// Gives the router another address on the internet; every mapping is gone.
    public func renumber(from old: String, to new: String, gateway: String) throws {
        try host.must("ip", "address", "del", "\(old)/24", "dev", wan)
        try host.must("ip", "address", "add", "\(new)/24", "dev", wan)
        try host.defaultRoutes([gateway])
        try host.run("conntrack", "-F")
    }

    /// Puts the rules in place, in one transaction.
    ///
    /// What comes from outside and matches no mapping is dropped and not answered, as routers do:
    /// else the kernel would take such a packet for a connection of the router's own, and would
    /// have to give a local host that writes back to its sender another port.
    ///
    /// - Parameter portBase: What hosts' UDP is mapped to: this plus the last byte of the host's
    ///   address, for every destination; nil keeps the hosts' own ports.
    /// - Throws: ``LabError`` when the rules are not taken.
    private func load(portBase: Int? = nil) throws {
        let cone = mapping == .fullCone
        let ports = mapping == .preserving ? portBase.map(fixedPorts) ?? "" : ""
        try host.must(
            ["nft", "-f", "-"],
            input: """
                table inet router
                delete table inet router
                table inet router {
                    map mapped {
                        type inet_service : ipv4_addr
                        flags dynamic, timeout
                        timeout 2m
                    }
                    chain input {
                        type filter hook input priority filter;
                        iifname "\(wan)" ct state new meta l4proto { tcp, udp } drop
                        iifname "\(wan)" ct state invalid drop
                    }
                    chain forward {
                        type filter hook forward priority filter; policy drop;
                        \(blocksUDP ? "ct direction original udp dport != 53 drop" : "")
                        \(cone ? Self.remembering(wan) : "")
                        ct state established,related accept
                        \(cone ? "iifname \"\(wan)\" ct status dnat accept" : "")
                        iifname "\(lan)" accept
                    }
                    chain prerouting {
                        type nat hook prerouting priority dstnat;
                        \(cone ? "iifname \"\(wan)\" dnat ip to udp dport map @mapped" : "")
                    }
                    chain postrouting {
                        type nat hook postrouting priority srcnat;
                        \(ports)
                        meta nfproto ipv4 oifname "\(wan)" masquerade \(options)
                    }
                }
                """
        )
    }

    /// Keeps who sends from which port, for ``Mapping/fullCone``.
    private static func remembering(_ wan: String) -> String {
        "oifname \"\(wan)\" ip protocol udp update @mapped { udp sport : ip saddr }"
    }

    private var options: String { mapping == .symmetric ? "random,fully-random" : "" }

    private func fixedPorts(_ base: Int) -> String {
        (10...13).map { host in
            "oifname \"\(wan)\" ip saddr & 0.0.0.255 == 0.0.0.\(host) udp dport != 53 "
                + "masquerade to :\(base + host)"
        }.joined(separator: "\n")
    }
}
