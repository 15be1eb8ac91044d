enum PolicySeeds {
    /// A file with everything, each section of it alone, and words.
    static var all: Seeds {
        let sections = example.split(separator: "\n\n").map(String.init)
        var seeds: Seeds = [("everything", file(sections.joined(separator: "\n")))]
        for (index, section) in sections.enumerated() {
            seeds.append(("section-\(index)", file(section)))
        }
        let words = [
            "git.example.com:443", "[2001:db8::1]:53/udp", "host/icmp", "tls://dns.example.net",
            "https://dns.example.net/dns-query", "9.9.9.9:5353", ">=1.1, <2", "1.2.3-beta.4",
            "mon-fri", "08:00-18:30", "2026-06-01T09:00:00+02:00", "10.0.0.0/8", "*.example.com",
            "internet", "b?cher.example", "bücher.example",
        ]
        for (index, word) in words.enumerated() {
            seeds.append(("word-\(index)", [0] + Array(word.utf8)))
        }
        return seeds
    }

    private static func file(_ text: String) -> [UInt8] { [1] + Array(text.utf8) }

    private static let example = """
        account: Example

        sites:
          - name: headquarters
          - name: berlin

        resources:
          - name: Git
            address: git.example.com
            site: headquarters
            allow: [tcp/443, tcp/22, icmp]
            family: both
          - name: Wiki
            address: wiki.fritz.box
            alias: wiki.berlin.example
            site: berlin
          - name: Chat
            address: "*.slack.com"
            site: headquarters

        groups:
          - name: Engineering
            members: [ada@example.com, "build server"]

        policies:
          - group: Engineering
            resource: Git
            when:
              from: [203.0.113.0/24]
              countries: [NL, DE]
              hours:
                zone: Europe/Amsterdam
                days: mon-fri
                times: ["08:00-18:30"]
              providers: [corporate]
              verified: true
              client:
                version: ">=1.1"
                os: [linux]
          - group: Engineering
            resource: Chat

        dns:
          upstreams: ["9.9.9.9", "tls://dns.example.net"]
          zones:
            corp.example.com: ["10.0.0.53"]
          search: corp.example.com

        addresses:
          proxies: [100.96.0.0/11, "fd00:2021:1111:8000::/107"]

        providers:
          - name: corporate
            issuer: https://id.example.com
            client_id: culvert
            client_secret_file: /etc/culvert/oidc-secret

        tests:
          - who: ada@example.com
            reach: git.example.com:443
            from: 203.0.113.9
            at: 2026-06-01T09:00:00+02:00
            expect: allow
        """
}
