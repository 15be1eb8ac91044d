/// Every case of DNS.
extension DNSCase {
    /// In the order of the table.
    public static let all = [
        DNSCase("tools", "every program gets right answers through the sentinels") { stage in
            try DNSTools.run(stage)
        },
        DNSCase("transcript", "the resolver's own words, message by message") { stage in
            try DNSTranscript.run(stage)
        },
        DNSCase(
            "encrypted",
            "upstreams by TLS and HTTPS say the same as kdig +tls and +https",
            setting: DNSUpstreamCases.encrypted
        ) { stage in try DNSUpstreamCases.compare(stage) },
        DNSCase("upstreams", "one of two upstreams dies, freezes, comes back") { stage in
            try DNSUpstreamCases.death(stage)
        },
        DNSCase("takeover", "a resource takes a name and gives it back") { stage in
            try DNSChangeCases.takeover(stage)
        },
        DNSCase("restarts", "no proxy address ever stands for two names") { stage in
            try DNSRestarts.restarts(stage)
        },
        DNSCase("flood", "random names without number below one wildcard") { stage in
            try DNSRestarts.flood(stage)
        },
        DNSCase("hostile", "what nobody should send, and what comes back") { stage in
            try DNSHostile.run(stage)
        },
        DNSCase("aliases", "two sites with the same names and networks") { stage in
            try DNSChangeCases.aliases(stage)
        },
        DNSCase(
            "obstacles",
            "firewall, rp_filter and a resolver on every address of the host",
            setting: DNSChangeCases.guarded
        ) { stage in try DNSChangeCases.obstacles(stage) },
    ]
}
