/// The case `tools`: the programs that people ask names with.
enum DNSTools {
    /// What a program's output must show.
    private enum Expectation {
        /// Proxy addresses.
        case proxies
        /// All of these texts.
        case texts([String])
        /// That there is no such name.
        case noName

        func holds(for outcome: Outcome) -> Bool {
            let output = outcome.output
            switch self {
            case .proxies:
                return output.contains(#/\b100\.(9[6-9]|1[01]\d|12[0-7])\.\d+\.\d+/#)
                    || output.contains(#/fd00:2021:1111:8000:/#)
            case .texts(let texts): return texts.allSatisfy { output.contains($0) }
            case .noName: return output.contains(#/NXDOMAIN|status: NAME/#)
            }
        }
    }

    private static let corp = DNSZones.corp
    private static let plain = DNSZones.plain
    private static let text = (0..<10).map { String(repeating: "abcde\($0)", count: 42) }

    /// Names of both kinds, and what every program must say of them.
    private static let questions: [(name: String, type: String, Expectation)] =
        [
            ("git.\(corp)", "A", .proxies), ("git.\(corp)", "AAAA", .proxies),
            ("www.\(plain)", "A", .texts([DNSNetwork.publicAddress.ipv4])),
            ("www.\(plain)", "AAAA", .texts([DNSNetwork.publicAddress.ipv6])),
            ("nothere.\(plain)", "A", .noName), ("nothere.\(corp)", "MX", .noName),
        ]
        + [corp, plain].flatMap { zone in
            [
                ("all.\(zone)", "MX", .texts(["10 mail.\(zone)", "20 mail2.\(zone)"])),
                ("_sip._udp.\(zone)", "SRV", .texts(["0 5 5060 all.\(zone)"])),
                ("big.\(zone)", "TXT", .texts(text)),
                ("chain.\(zone)", "CNAME", .texts(["chain2.\(zone)"])),
            ]
        }

    /// A command for a name and a type.
    private typealias Words = @Sendable (_ name: String, _ type: String) -> [String]

    /// Each program's words for one question, over UDP and over TCP.
    private static let programs: [(title: String, words: Words)] =
        [
            ("dig", { ["dig", $0, $1] }), ("dig +tcp", { ["dig", "+tcp", $0, $1] }),
            ("dig +dnssec", { ["dig", "+dnssec", $0, $1] }), ("kdig", { ["kdig", $0, $1] }),
            ("kdig +tcp", { ["kdig", "+tcp", $0, $1] }),
            ("drill", { ["drill", "-a", $0, $1] }), ("drill -t", { ["drill", "-t", $0, $1] }),
            ("host", { ["host", "-t", $1, $0] }), ("host -T", { ["host", "-T", "-t", $1, $0] }),
            ("nslookup", { ["nslookup", "-type=\($1)", $0] }),
            ("nslookup -vc", { ["nslookup", "-vc", "-type=\($1)", $0] }),
        ]

    /// Runs every program with every question.
    static func run(_ stage: DNSStage) throws {
        for program in programs {
            var wrong: [String] = []
            for (name, type, expectation) in questions {
                let outcome = try stage.ada.run(program.words(name, type), seconds: 10)
                if !expectation.holds(for: outcome) {
                    wrong.append("\(name) \(type): \(outcome.output.suffix(250))")
                }
            }
            stage.see(
                program.title,
                wrong.isEmpty ? "\(questions.count) right answers" : wrong.joined(separator: "; "),
                isRight: wrong.isEmpty
            )
        }
        try hostResolvers(stage)
        try reverse(stage)
        stage.seeNothingOutside()
    }

    /// Programs that ask as applications do.
    private static func hostResolvers(_ stage: DNSStage) throws {
        let ada = stage.ada
        let outside = Expectation.texts([DNSNetwork.publicAddress.ipv4])
        let source = try ada.write("names.c", program)
        for compiler in [["musl-gcc", "-static"], ["gcc"]] {
            let output = "\(ada.folder)/names-\(compiler[0])"
            try Lab.must(compiler + ["-O1", "-Wall", "-o", output, source, "-lresolv"])
        }
        let script = try ada.write("names.py", python)
        var rows: [(String, [String], Expectation)] = []
        let names = [("git.\(corp)", Expectation.proxies), ("www.\(plain)", outside)]
        for (name, expectation) in names {
            rows += ["hosts", "ahosts", "ahostsv4", "ahostsv6"].map { base in
                let six = Expectation.texts([DNSNetwork.publicAddress.ipv6])
                let isSix = base.hasSuffix("v6") || base == "hosts"
                let wanted = isSix && name.hasSuffix(plain) ? six : expectation
                return ("getent \(base) \(name)", ["getent", base, name], wanted)
            }
            rows += ["musl-gcc", "gcc"].map { compiler in
                let words = ["\(ada.folder)/names-\(compiler)", name, name]
                return ("\(compiler)'s libc, \(name)", words, expectation)
            }
            rows.append(
                ("dnspython \(name)", [DNSStage.interpreter, script, name, "A"], expectation)
            )
        }
        for zone in [corp, plain] {
            let mail = Expectation.texts(["10 mail.\(zone)", "20 mail2.\(zone)"])
            rows.append(
                (
                    "dnspython all.\(zone)", [DNSStage.interpreter, script, "all.\(zone)", "MX"],
                    mail
                )
            )
            let big = [DNSStage.interpreter, script, "big.\(zone)", "TXT"]
            rows.append(("dnspython big.\(zone)", big, .texts(text)))
        }
        let pages = [("git.\(corp)", "Hello from Git."), ("www.\(plain)", "from outside")]
        for (name, words) in pages {
            let get = ["curl", "-sS", "-m", "5", "http://\(name)/"]
            rows.append(("curl \(name)", get, .texts([words])))
        }
        for (title, words, expectation) in rows {
            let outcome = try ada.run(words, seconds: 15)
            let isRight = outcome.code == 0 && expectation.holds(for: outcome)
            stage.see(title, String(outcome.output.prefix(90)), isRight: isRight)
        }
    }

    /// An address that was given stands for its name.
    private static func reverse(_ stage: DNSStage) throws {
        let name = "git.\(corp)"
        for type in ["A", "AAAA"] {
            let addresses = try stage.ada.must("dig", "+short", name, type)
                .split(separator: "\n").map(String.init)
            guard let address = addresses.last else {
                stage.see("addresses of \(name)", "none", isRight: false)
                continue
            }
            let names = try stage.ada.run("dig", "+short", "-x", address).output.trimmed
            stage.see("dig -x \(address)", names, isRight: names == "\(name).")
        }
    }

    /// Asks libc for the addresses of the first argument, and for the mail servers of the second.
    private static let program = #"""
        #include <netdb.h>
        #include <netinet/in.h>
        #include <arpa/nameser.h>
        #include <resolv.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/socket.h>
        int main(int count, char **words) {
            struct addrinfo hints, *list, *entry;
            char text[256];
            unsigned char answer[4096];
            memset(&hints, 0, sizeof hints);
            hints.ai_socktype = SOCK_STREAM;
            int code = getaddrinfo(words[1], "80", &hints, &list);
            if (code != 0) {
                printf("getaddrinfo: %s\n", gai_strerror(code));
                return 1;
            }
            for (entry = list; entry; entry = entry->ai_next) {
                getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, NULL, 0,
                            NI_NUMERICHOST);
                printf("%s ", text);
            }
            int length = res_query(words[2], ns_c_in, ns_t_a, answer, sizeof answer);
            printf("res_query: %d bytes\n", length);
            return length < 0;
        }
        """#

    private static let python = """
        import sys
        import dns.resolver
        for tcp in (False, True):
            answer = dns.resolver.resolve(sys.argv[1], sys.argv[2], tcp=tcp)
            print(*answer.rrset)
        """
}
