internal import Foundation

/// The case `transcript`: thousands of questions of every type, by every transport, and what came
/// back compared message by message with what the servers themselves say.
enum DNSTranscript {
    private static let transports = ["udp", "edns", "tcp", "pipelined"]

    /// One question.
    private struct Question: Codable, Hashable {
        let name: String
        let type: String
        let transport: String

        var words: String { "\(name) \(type) \(transport)" }
    }

    /// A message without what may differ: ID and times to live.
    private struct Message: Codable, Equatable {
        var code = ""
        var flags: [String] = []
        var question: [String] = []
        var answer: [String] = []
        var authority: [String] = []
        var additional: [String] = []
        var edns: [String] = []
        var byteCount = 0
        var timeToLive = 0
        /// Why it could not be read; empty when it could.
        var fault = ""

        var words: String {
            fault.isEmpty
                ? "\(code) \(flags) \(question) answer \(answer.prefix(5)) of \(answer.count), "
                    + "authority \(authority.prefix(3)), additional \(additional.prefix(3)), "
                    + "EDNS \(edns)" : fault
        }

        /// With what a relay changes rightly left out.
        func compared(withSize: Bool) -> Message {
            var copy = self
            copy.timeToLive = 0
            if !withSize { copy.byteCount = 0 }
            return copy
        }
    }

    /// Asks everything.
    static func run(_ stage: DNSStage) throws {
        let quick = stage.isQuick
        let open = unprotected(quick), closed = protected(quick)
        let count = (open.count + closed.count) * DNSZones.types.count * transports.count
        let sentinel = try stage.sentinel()
        let resolver = stage.world.network.resolvers[0].ipv4
        var asked = questions(open, transports)
        var wrong: [String] = []
        // What differs is asked once more: a resolver says some things once only.
        for _ in 0..<2 where !asked.isEmpty {
            let direct = try ask(asked, at: resolver, on: stage.outside, stage)
            let through = try ask(asked, at: sentinel, on: stage.ada, stage)
            let pairs = zip(asked, zip(direct, through)).filter { _, both in
                both.0.compared(withSize: true) != both.1.compared(withSize: true)
            }
            asked = pairs.map(\.0)
            wrong = pairs.map { "\($0.words): \($1.1.words), but directly \($1.0.words)" }
        }
        let types = DNSZones.types.count
        let all = open.count * types * transports.count
        stage.see(
            "unprotected names: \(open.count) names × \(types) types × \(transports.count) ways",
            wrong.isEmpty
                ? "all \(all) answers are the resolver's own but for ID and TTL"
                : "\(wrong.count) of \(all) differ: \(wrong.prefix(3).joined(separator: "; "))",
            isRight: wrong.isEmpty
        )
        try protectedNames(stage, closed, sentinel)
        stage.see("queries in all", "\(count)", isRight: true)
        stage.seeNothingOutside()
    }

    private static func protectedNames(
        _ stage: DNSStage,
        _ names: [String],
        _ sentinel: String
    ) throws {
        let asked = questions(names, transports)
        let site = stage.world.network.sites[0].server
        // The whole answers, since the server may cut over UDP at other sizes.
        let reference = Dictionary(
            uniqueKeysWithValues: zip(
                questions(names, ["tcp"]),
                try ask(
                    questions(names, ["tcp"]),
                    at: DNSNetwork.wikiAddress,
                    on: site,
                    stage
                )
            )
        )
        // A gateway answers a client's questions at a bounded rate.
        let through = try ask(asked, at: sentinel, on: stage.ada, stage, rate: 180)
        var wrong: [String: [String]] = [:]
        for (question, message) in zip(asked, through) {
            let whole = Question(name: question.name, type: question.type, transport: "tcp")
            let site = reference[whole] ?? Message()
            if let fault = fault(in: message, question, site) {
                wrong[fault, default: []].append("\(question.words): \(message.words)")
            }
        }
        let count = wrong.reduce(0) { $0 + $1.value.count }
        let words = wrong.sorted { $0.key < $1.key }.map {
            "\($1.count) × \($0), like \($1.first ?? "")"
        }
        stage.see(
            "protected names: \(names.count) names × \(DNSZones.types.count) types "
                + "× \(transports.count) ways",
            wrong.isEmpty
                ? "all \(asked.count) answers are right: proxy addresses, else what the site says"
                : "\(count) of \(asked.count) are wrong: \(words.joined(separator: "; "))",
            isRight: wrong.isEmpty
        )
    }

    /// What is wrong with an answer about a protected name; nil when nothing is.
    private static func fault(
        in message: Message,
        _ question: Question,
        _ site: Message
    ) -> String? {
        if !message.fault.isEmpty { return message.fault }
        if message.flags.contains("AD") { return "a false AD" }
        if !message.flags.contains("RA") { return "no RA" }
        let edns = ["edns", "pipelined"].contains(question.transport)
        if message.edns.isEmpty == edns { return "OPT, or none, unasked" }
        let isDatagram = ["udp", "edns"].contains(question.transport)
        let limit = question.transport == "udp" ? 512 : isDatagram ? 1_232 : 65_535
        if message.byteCount > limit { return "longer than \(limit) bytes" }
        if message.flags.contains("TC") {
            let isNeeded = isDatagram && site.byteCount + 11 > limit && message.answer.isEmpty
            return isNeeded ? nil : "TC without need"
        }
        switch question.type {
        case "A", "AAAA":
            let prefix = question.type == "A" ? "IN A 100." : "IN AAAA fd00:2021:1111:8"
            let isRight =
                message.code == "NOERROR" && message.answer.count == 4
                && message.answer.allSatisfy { $0.contains(prefix) } && message.timeToLive <= 1
            // A family that the site lacks is left out when the other one was asked for, too.
            let isAbsent = site.code == "NOERROR" && site.answer.isEmpty && message.answer.isEmpty
            return isRight || isAbsent ? nil : "no four proxy addresses"
        case "TYPE64", "TYPE65":
            let isRight = message.code == "NOERROR" && message.answer.isEmpty
            return isRight ? nil : "SVCB or HTTPS with records"
        case "ANY":
            // RFC 8482: one small answer that is not the whole.
            let isRight = message.code == "NOERROR" && (1...2).contains(message.answer.count)
            return isRight ? nil : "ANY not as in RFC 8482"
        default:
            if message.code != site.code { return "not the site's code" }
            let lower = { (lines: [String]) in lines.map { $0.lowercased() } }
            return lower(message.answer) == lower(site.answer) ? nil : "not the site's answer"
        }
    }

    private static func questions(_ names: [String], _ transports: [String]) -> [Question] {
        transports.flatMap { transport in
            names.flatMap { name in
                DNSZones.types.map { Question(name: name, type: $0, transport: transport) }
            }
        }
    }

    private static func unprotected(_ quick: Bool) -> [String] {
        let (plain, signed) = (DNSZones.plain, DNSZones.signed)
        let few = ["all.\(plain)", "big.\(plain)", "chain.\(signed)", "nothere.\(signed)"]
        if quick { return few }
        return few + [
            "www.\(plain)", "chain.\(plain)", "x.wild.\(plain)", "nothere.\(plain)",
            "empty.\(plain)", "many.\(plain)", "all.\(signed)", "www.\(signed)", "big.\(signed)",
            "y.wild.\(signed)", "x.tree.\(signed)", "www.\(DNSZones.bogus)",
            "www.\(DNSZones.refused)",
        ]
    }

    private static func protected(_ quick: Bool) -> [String] {
        let corp = DNSZones.corp
        let few = ["all.\(corp)", "big.\(corp)", "chain.\(corp)", DNSZones.secret]
        if quick { return few }
        return few + [
            corp, "www.\(corp)", "x.wild.\(corp)", "nothere.\(corp)", "empty.\(corp)",
            "many.\(corp)", "_sip._udp.\(corp)",
        ]
    }

    // MARK: - Asking

    private static func ask(
        _ questions: [Question],
        at server: String,
        on host: LabHost,
        _ stage: DNSStage,
        rate: Int = 100_000
    ) throws -> [Message] {
        let plan = try JSONEncoder().encode(questions)
        let path = try host.write("plan.json", String(decoding: plan, as: UTF8.self))
        let messages: [Message] = try stage.python(
            program,
            server,
            path,
            "\(rate)",
            on: host,
            seconds: 240
        )
        guard messages.count == questions.count else {
            throw LabError("\(questions.count) questions got \(messages.count) answers")
        }
        return messages
    }

    /// Asks the questions of a file at a server and prints the answers, in the same order.
    private static let program = #"""
        import json, select, socket, struct, sys, time
        import dns.flags, dns.message, dns.opcode, dns.rcode, dns.rdataclass, dns.rdatatype
        server, questions = sys.argv[1], json.load(open(sys.argv[2]))
        rate, began, sent = float(sys.argv[3]), time.monotonic(), 0
        family = socket.AF_INET6 if ":" in server else socket.AF_INET

        def query(question, id):
            global sent
            sent += 1
            time.sleep(max(0, began + sent / rate - time.monotonic()))
            name, transport = question["name"], question["transport"]
            edns = transport in ("edns", "pipelined")
            if transport == "edns":
                name = "".join(c.upper() if i % 2 else c for i, c in enumerate(name))
            message = dns.message.make_query(
                name, question["type"], use_edns=0 if edns else False,
                want_dnssec=transport == "edns", payload=1232)
            message.id = id
            return message.to_wire()

        def normal(wire):
            try:
                message = dns.message.from_wire(wire)
            except Exception as error:
                return {"fault": f"unreadable: {type(error).__name__} {error} {wire.hex()}"}
            def lines(section):
                return sorted(
                    f"{s.name} {dns.rdataclass.to_text(s.rdclass)} "
                    f"{dns.rdatatype.to_text(s.rdtype)} {data.to_text()}"
                    for s in section for data in s)
            edns = []
            if message.edns >= 0:
                edns = [f"version {message.edns}", f"flags {message.ednsflags:x}",
                        f"size {message.payload}"] + [str(o) for o in message.options]
            return {
                "code": dns.rcode.to_text(message.rcode()),
                "flags": dns.flags.to_text(message.flags).split(),
                "question": [s.to_text() for s in message.question],
                "answer": lines(message.answer), "authority": lines(message.authority),
                "additional": lines(message.additional), "edns": edns, "byteCount": len(wire),
                "timeToLive": max([s.ttl for s in message.answer] or [0]), "fault": "",
            }

        answers = {}

        def note(number, wire):
            answers[number] = normal(wire)

        def datagrams(numbers):
            left = list(numbers)
            for attempt in range(3):
                under_way, rest = {}, left
                link = socket.socket(family, socket.SOCK_DGRAM)
                link.connect((server, 53))
                last = time.monotonic()
                while rest or under_way:
                    while rest and len(under_way) < 24:
                        number, rest = rest[0], rest[1:]
                        under_way[number & 0xffff] = number
                        link.send(query(questions[number], number & 0xffff))
                    if select.select([link], [], [], 0.5)[0]:
                        wire = link.recv(65535)
                        number = under_way.pop(struct.unpack("!H", wire[:2])[0], None)
                        if number is not None:
                            note(number, wire)
                            last = time.monotonic()
                    elif time.monotonic() - last > 6:
                        break
                left = [number for number in left if number not in answers]
                if not left:
                    return

        def receive(link, count):
            data = b""
            while len(data) < count:
                part = link.recv(count - len(data))
                if not part:
                    raise OSError("closed")
                data += part
            return data

        def stream(numbers):
            with socket.create_connection((server, 53), 8) as link:
                for number in numbers:
                    wire = query(questions[number], number & 0xffff)
                    link.sendall(struct.pack("!H", len(wire)) + wire)
                waiting = {number & 0xffff: number for number in numbers}
                while waiting:
                    wire = receive(link, struct.unpack("!H", receive(link, 2))[0])
                    number = waiting.pop(struct.unpack("!H", wire[:2])[0], None)
                    if number is not None:
                        note(number, wire)

        def streams(numbers, each):
            for attempt in range(3):
                left = [number for number in numbers if number not in answers]
                for start in range(0, len(left), each):
                    try:
                        stream(left[start:start + each])
                    except OSError:
                        pass

        def of(*transports):
            return [i for i, q in enumerate(questions) if q["transport"] in transports]

        datagrams(of("udp", "edns"))
        streams(of("tcp"), 1)
        streams(of("pipelined"), 48)
        nothing = {"code": "", "flags": [], "question": [], "answer": [], "authority": [],
                   "additional": [], "edns": [], "byteCount": 0, "timeToLive": 0}
        result = [answers.get(i, {"fault": "no answer"}) for i in range(len(questions))]
        print(json.dumps([{**nothing, "fault": "", **answer} for answer in result]))
        """#
}
