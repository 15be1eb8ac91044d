internal import Control
internal import Foundation
internal import IP

/// What is remembered of a client or gateway beside what the directory holds: where it came from,
/// and the facts of its last connection.
struct EnrolledDevice: Codable, Equatable, Sendable {
    /// Opaque; a ``ClientID`` or a ``GatewayID`` of the directory.
    let id: String
    let role: Role
    /// The token that it came with; with the name, what tells devices apart.
    let token: String
    let name: String
    var software: String
    let firstSeen: Date
    var lastSeen: Date
    /// Where the portal saw it last.
    var remote: IPAddress?
    /// The key of its last start; peers of live leases are told of a new one.
    var publicKey: KeyText?
    /// Where it could be reached last.
    var candidates: [Candidate]
    /// Whether it was connected when the portal last ran; nil means no.
    var isConnected: Bool?
    /// Until when flows may go on at a gateway that is taken out of service; nil means that it is
    /// not.
    var drainEndsAt: Date?
}

/// All devices, with the look-ups of sessions.
struct DeviceTable {
    /// Bounds of devices.
    enum Limits {
        /// Devices that one token may bring.
        static let perToken = 256
        /// Bytes of a device's name.
        static let nameByteCount = 128
    }

    private struct Key: Hashable {
        let token: String
        let name: String
    }

    private var devices: [String: EnrolledDevice] = [:]
    private var idByKey: [Key: String] = [:]
    private var countByToken: [String: Int] = [:]

    init(_ devices: [EnrolledDevice] = []) { for device in devices { upsert(device) } }

    subscript(id: String) -> EnrolledDevice? { devices[id] }

    /// The device that `token` brought under `name`; nil when it is new.
    func device(of token: String, named name: String) -> EnrolledDevice? {
        idByKey[Key(token: token, name: name)].flatMap { devices[$0] }
    }

    /// How many devices `token` has brought.
    func count(of token: String) -> Int { countByToken[token, default: 0] }

    mutating func upsert(_ device: EnrolledDevice) {
        if devices.updateValue(device, forKey: device.id) == nil {
            countByToken[device.token, default: 0] += 1
        }
        idByKey[Key(token: device.token, name: device.name)] = device.id
    }

    /// Forgets a device.
    mutating func remove(_ id: String) {
        guard let device = devices.removeValue(forKey: id) else { return }
        idByKey[Key(token: device.token, name: device.name)] = nil
        countByToken[device.token, default: 1] -= 1
    }
}

/// Gives places in the tunnel ranges, each at most once at a time.
struct TunnelAddresses {
    private var taken: Set<IPAddress> = []
    private var lastOffset: UInt64 = 0

    /// - Parameter taken: Addresses of devices that exist.
    init(taken: some Sequence<IPAddress>) { for address in taken { take(address) } }

    /// Marks an address as given away.
    mutating func take(_ address: IPAddress) { taken.insert(address) }

    /// Gives an address back.
    mutating func release(_ address: IPAddress) { taken.remove(address) }

    /// An address of each family at the same place of its range; nil when all are given away. The
    /// first and the last of a range stay unused.
    mutating func next(in plan: AddressPlan) -> [IPAddress]? {
        let bits = plan.tunnel.map { $0.family.bitCount - $0.bitCount }.min() ?? 0
        guard bits >= 2, !plan.tunnel.isEmpty else { return nil }
        let last = (UInt64(1) << UInt64(min(bits, 62))) - 2
        for _ in 0...taken.count {
            lastOffset = lastOffset >= last ? 1 : lastOffset + 1
            let addresses = plan.tunnel.map { $0.address.advanced(by: lastOffset) }
            if addresses.allSatisfy({ !taken.contains($0) }) {
                for address in addresses { take(address) }
                return addresses
            }
        }
        return nil
    }
}
