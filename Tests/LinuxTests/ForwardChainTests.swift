internal import IP
internal import Testing

@testable internal import Linux

@Suite("Other people's chains on the forward hook")
struct ForwardChainTests {
    /// What `nft -s list chains` prints with Docker, firewalld, an administrator's own table and
    /// ours.
    static let listing = """
        table inet culvert {
        \tchain entering {
        \t\ttype filter hook forward priority -1000000000; policy accept;
        \t}
        }
        table ip nat {
        \tchain POSTROUTING {
        \t\ttype nat hook postrouting priority srcnat; policy accept;
        \t}
        }
        table ip filter {
        \tchain INPUT {
        \t\ttype filter hook input priority filter; policy drop;
        \t}
        \tchain FORWARD {
        \t\ttype filter hook forward priority filter; policy drop;
        \t}
        \tchain DOCKER-USER {
        \t}
        }
        table inet firewalld {
        \tchain filter_FORWARD {
        \t\ttype filter hook forward priority filter + 10; policy accept;
        \t}
        }
        table bridge guard {
        \tchain forward {
        \t\ttype filter hook forward priority filter; policy drop;
        \t}
        }
        """

    static func chain(_ family: String, _ table: String, _ name: String, drops: Bool = true)
        -> ForwardChain
    {
        ForwardChain(family: family, table: table, name: name, dropsByPolicy: drops)
    }

    @Test("are found with their policies, without ours and without bridges'")
    func found() {
        let chains = ForwardChain.all(in: Self.listing) { $0 == "culvert" }
        #expect(
            chains == [
                Self.chain("ip", "filter", "FORWARD"),
                Self.chain("inet", "firewalld", "filter_FORWARD", drops: false),
            ]
        )
        #expect(
            ForwardChain.all(
                in: "table {\nchain\ntype filter hook forward",
                except: { _ in
                    false
                }
            ).isEmpty
        )
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let rules: [String]
        let drops: Bool
    }

    static let endings = [
        Ending(testDescription: "nothing", rules: [], drops: false),
        Ending(
            testDescription: "a reject of everything",
            rules: ["ct state established accept", "reject with icmpx admin-prohibited"],
            drops: true
        ),
        Ending(testDescription: "a counted drop", rules: ["counter drop"], drops: true),
        Ending(testDescription: "a bare reject", rules: ["reject"], drops: true),
        Ending(
            testDescription: "a drop of some",
            rules: ["ct state invalid drop"],
            drops: false
        ),
        Ending(
            testDescription: "a drop before an accept",
            rules: ["drop", "accept"],
            drops: false
        ),
        Ending(
            testDescription: "a reject of some",
            rules: ["ip daddr 10.0.0.0/8 reject with icmp admin-prohibited"],
            drops: false
        ),
    ]

    @Test("drop what ends in a verdict without a condition", arguments: endings)
    func drops(ending: Ending) {
        let chain = Self.chain("inet", "filter", "forward", drops: false)
        #expect(chain.drops(rules: ending.rules) == ending.drops)
        #expect(Self.chain("inet", "filter", "forward").drops(rules: ending.rules))
    }

    @Test("let the tunnel through when both directions are accepted")
    func accepts() {
        let comes = "iifname \"culvert0\" accept"
        let returns = "oifname \"culvert0\" ct state established,related accept"
        for (rules, isOpen) in [
            ([comes, returns], true), ([comes], false), ([returns], false), ([], false),
            ([comes, "ct state { established, related } counter accept"], true),
            (["iifname \"culvert0\" drop", returns], false),
        ] {
            #expect(ForwardChain.accepts("culvert0", rules: rules) == isOpen, "\(rules)")
        }
    }

    @Test("rules are read without what frames them")
    func rules() {
        let text = """
            # Warning: table ip filter is managed by iptables-nft, do not touch!
            table ip filter {
            \tchain FORWARD {
            \t\ttype filter hook forward priority filter; policy drop;
            \t\tcounter jump DOCKER-USER
            \t}
            }
            """
        #expect(ForwardChain.rules(in: text) == ["counter jump DOCKER-USER"])
    }

    struct Known: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let chain: ForwardChain
        let rules: [String]
        let way: ForwardAccess.Way
    }

    static let known = [
        Known(
            testDescription: "Docker",
            chain: chain("ip", "filter", "FORWARD"),
            rules: ["counter jump DOCKER-USER", "counter jump DOCKER-FORWARD"],
            way: .iptables(.ipv4, chain: "DOCKER-USER")
        ),
        Known(
            testDescription: "Docker's IPv6",
            chain: chain("ip6", "filter", "FORWARD"),
            rules: ["counter jump DOCKER-USER"],
            way: .iptables(.ipv6, chain: "DOCKER-USER")
        ),
        Known(
            testDescription: "ufw",
            chain: chain("ip", "filter", "FORWARD"),
            rules: ["counter jump ufw-before-logging-forward", "counter jump ufw-before-forward"],
            way: .iptables(.ipv4, chain: "ufw-before-forward")
        ),
        Known(
            testDescription: "ufw's IPv6",
            chain: chain("ip6", "filter", "FORWARD"),
            rules: ["counter jump ufw6-before-forward"],
            way: .iptables(.ipv6, chain: "ufw6-before-forward")
        ),
        Known(
            testDescription: "both, Docker first",
            chain: chain("ip", "filter", "FORWARD"),
            rules: ["counter jump DOCKER-USER", "counter jump ufw-before-forward"],
            way: .iptables(.ipv4, chain: "DOCKER-USER")
        ),
        Known(
            testDescription: "firewalld",
            chain: chain("inet", "firewalld", "filter_FORWARD", drops: false),
            rules: ["reject with icmpx admin-prohibited"],
            way: .firewalld
        ),
        Known(
            testDescription: "iptables by hand",
            chain: chain("ip", "filter", "FORWARD"),
            rules: [],
            way: .command(
                "iptables -I FORWARD -i culvert0 -m comment --comment culvert -j ACCEPT && "
                    + "iptables -I FORWARD -o culvert0 -m conntrack --ctstate RELATED,ESTABLISHED "
                    + "-m comment --comment culvert -j ACCEPT"
            )
        ),
        Known(
            testDescription: "nft by hand",
            chain: chain("inet", "filter", "forward"),
            rules: [],
            way: .command(
                "nft 'insert rule inet filter forward iifname \"culvert0\" accept; insert rule "
                    + "inet filter forward oifname \"culvert0\" ct state established,related "
                    + "accept'"
            )
        ),
    ]

    @Test("are opened by the way that each product leaves", arguments: known)
    func way(known: Known) {
        let way = ForwardAccess.way(
            through: known.chain,
            rules: known.rules,
            interface: "culvert0"
        )
        #expect(way == known.way)
    }

    @Test("our rules are known by their comment, and deleted where their interface is gone")
    func deletions() {
        let listing = """
            -N DOCKER-USER
            -A DOCKER-USER -i culvert0 -m comment --comment culvert -j ACCEPT
            -A DOCKER-USER -o culvert7 -m comment --comment "culvert" -j ACCEPT
            -A DOCKER-USER -i culvert3 -m comment --comment culvert -j ACCEPT
            -A DOCKER-USER -i culvert0 -m comment --comment other -j ACCEPT
            -A DOCKER-USER -i culvert0 -j ACCEPT
            -A DOCKER-USER -s 10.0.0.0/8 -m comment --comment culvert -j ACCEPT
            -A DOCKER-USER -j RETURN
            """
        let deletions = ForwardAccess.deletions(in: listing) { $0 != "culvert3" }
        let rest = ["-m", "comment", "--comment", "culvert", "-j", "ACCEPT"]
        #expect(
            deletions == [
                ["-D", "DOCKER-USER", "-i", "culvert0"] + rest,
                ["-D", "DOCKER-USER", "-o", "culvert7"] + rest,
            ]
        )
    }

    @Test("counters are read, and only whole ones")
    func passage() {
        let text = """
            table inet culvert {
            \tcounter entered {
            \t\tpackets 12 bytes 1008
            \t}
            \tcounter passed {
            \t\tpackets 7 bytes 588
            \t}
            }
            """
        #expect(GatewayFirewall.passage(in: text) == .init(entered: 12, passed: 7))
        #expect(GatewayFirewall.passage(in: "counter entered {") == nil)
        #expect(GatewayFirewall.passage(in: "") == nil)
    }
}
