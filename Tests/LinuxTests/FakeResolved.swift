internal import Bytes
internal import Foundation
internal import IP
internal import Synchronization

@testable internal import Linux

/// systemd-resolved as far as the client knows it: answers as busctl prints them (systemd 252).
final class FakeResolved: Sendable {
    typealias Domain = SystemdResolved.Domain

    struct Link: Sendable {
        var servers: [IPAddress] = []
        var domains: [Domain] = []
        var isDefaultRoute = true
        var encryption = "no"
        /// systemd-networkd has it.
        var isManaged = false
    }

    struct State: Sendable {
        var links: [UInt32: Link] = [:]
        var encryption = "no"
        /// Methods that were called, with the link, in order.
        var calls: [String] = []
        /// Calls of these methods are refused in these words.
        var refusals: [String: String] = [:]
        var isNetworkdThere = false
    }

    let state = Mutex(State())

    var bus: SystemBus {
        SystemBus { [self] (method, arguments) throws(BusError) in
            let answer: Result<String, BusError> = state.withLock { state in
                do throws(BusError) {
                    return .success(try Self.answer(method, arguments, &state))
                } catch {
                    return .failure(error)
                }
            }
            return try answer.get()
        }
    }

    subscript(_ interface: UInt32) -> Link {
        get { state.withLock { $0.links[interface] ?? Link() } }
        set { state.withLock { $0.links[interface] = newValue } }
    }

    /// The methods called since the last time, but for reading.
    func takeCalls() -> [String] {
        state.withLock { state in
            defer { state.calls = [] }
            return state.calls
        }
    }

    private static func answer(
        _ method: SystemBus.Method,
        _ arguments: [String],
        _ state: inout State
    ) throws(BusError) -> String {
        if method.name == "GetAll" { return properties(method.path, state) }
        let number = arguments.dropFirst().first.flatMap { UInt32($0) } ?? 0
        let isNetworkd = method.service == "org.freedesktop.network1"
        state.calls.append((isNetworkd ? "networkd " : "") + "\(method.name) \(number)")
        if let words = state.refusals[method.name] { throw .refused(words) }
        guard state.isNetworkdThere || !isNetworkd else {
            throw .refused("Call failed: The name is not activatable")
        }
        if state.links[number]?.isManaged ?? false, !isNetworkd {
            throw .refused("Call failed: Link eth\(number) is managed.")
        }
        let rest = Array(arguments.dropFirst(3))
        switch method.name {
        case "SetLinkDomains":
            state.links[number, default: Link()].domains = stride(from: 0, to: rest.count, by: 2)
                .map { Domain(name: rest[$0], isRouteOnly: rest[$0 + 1] == "true") }
        case "SetLinkDNSEx":
            state.links[number, default: Link()].servers = servers(rest)
        case "SetLinkDNSOverTLS":
            state.links[number, default: Link()].encryption = arguments[2]
        case "SetLinkDefaultRoute":
            state.links[number, default: Link()].isDefaultRoute = arguments[2] == "true"
        case "RevertLink": state.links[number] = Link()
        default: break
        }
        return ""
    }

    private static func servers(_ words: [String]) -> [IPAddress] {
        var rest = words[...]
        var servers: [IPAddress] = []
        while rest.count > 2, let count = Int(rest[rest.startIndex + 1]) {
            let bytes = rest.dropFirst(2).prefix(count).compactMap { UInt8($0) }
            if let address = IPAddress(bytes: bytes.rawSpan) { servers.append(address) }
            rest = rest.dropFirst(2 + count + 2)
        }
        return servers
    }

    private static func properties(_ path: String, _ state: State) -> String {
        let encryption = { (text: String) in #""DNSOverTLS":{"type":"s","data":"\#(text)"}"# }
        if let number = path.split(separator: "/").last.flatMap({ UInt32($0.dropFirst(2)) }) {
            let link = state.links[number] ?? Link()
            return #"{"type":"a{sv}","data":[{"ScopesMask":{"type":"t","data":1},"DefaultRoute":"#
                + #"{"type":"b","data":\#(link.isDefaultRoute)},\#(encryption(link.encryption))}]}"#
        }
        // Links in an order of resolved's own.
        let links = state.links.sorted { $0.key > $1.key }
        let servers = links.flatMap { number, link in
            link.servers.map { "[\(number),\($0.isIPv4 ? 2 : 10),\($0.bytes),0,\"\"]" }
        }
        let domains = links.flatMap { number, link in
            link.domains.map { "[\(number),\"\($0.name)\",\($0.isRouteOnly)]" }
        }
        return
            #"{"type":"a{sv}","data":[{"LLMNRHostname":{"type":"s","data":"vm"},"DNSEx":{"type":"#
            + #""a(iiayqs)","data":[\#(servers.joined(separator: ","))]},"Domains":{"type":"a(isb)","#
            + #""data":[\#(domains.joined(separator: ","))]},\#(encryption(state.encryption))}]}"#
    }
}
