internal import Bytes
internal import IP

/// Why bytes are not a frame that this version acts on.
public enum ControlFrameError: Error, Hashable, Sendable {
    /// Fewer bytes than the header or its length field promise.
    case truncated
    /// The first byte is not 0.
    case notAFrame
    /// A version other than 1.
    case version(UInt8)
    /// A kind that is not known: ignored, so that later versions may have more.
    case kind(UInt8)
    /// A field that the kind needs is not there.
    case missing(field: UInt8)
    /// A field's value is not what its type says.
    case malformed(field: UInt8)
}

/// The layout: 0, version, kind, flags, 16-bit length of the fields; then fields, each a type, a
/// 16-bit length and a value. Unknown fields are skipped; bytes after the length are padding.
enum FrameLayout {
    static let version: UInt8 = 1
    static let headerByteCount = 6

    enum Kind: UInt8 {
        case probe = 1
        case probeAnswer = 2
        case names = 3
        case namesAnswer = 4
        case release = 5
        case goodbye = 6
        case path = 7
    }

    enum Field: UInt8 {
        /// 8 bytes: a probe's number or an epoch.
        case number = 1
        /// UTF-8.
        case resource = 2
        /// UTF-8.
        case name = 3
        /// 4 or 16 bytes; repeated, in order.
        case proxy = 4
        /// 1 byte.
        case status = 5
        /// 1 byte: 1 for IPv4, 2 for IPv6, 3 for both.
        case families = 6
    }
}

// MARK: - Writing

extension ControlFrame {
    /// The frame's bytes, without padding.
    public var bytes: [UInt8] {
        var writer = FrameWriter(kind: kind)
        switch self {
        case .probe(let number), .probeAnswer(let number), .path(let number):
            writer.number(number)
        case .names(let names):
            writer.number(names.epoch)
            writer.text(names.resource, .resource)
            writer.text(names.name, .name)
            writer.proxies(names.proxies)
        case .namesAnswer(let answer):
            writer.number(answer.epoch)
            writer.text(answer.resource, .resource)
            writer.text(answer.name, .name)
            writer.field(.status, [answer.status.code])
            let families: [UInt8] = [
                (answer.families.contains(.ipv4) ? 1 : 0)
                    | (answer.families.contains(.ipv6) ? 2 : 0)
            ]
            writer.field(.families, families)
        case .release(let release):
            writer.number(release.epoch)
            writer.text(release.name, .name)
            writer.proxies(release.proxies)
        case .goodbye(let goodbye):
            writer.field(.status, [goodbye.code])
        }
        return writer.finish()
    }

    private var kind: FrameLayout.Kind {
        switch self {
        case .probe: .probe
        case .probeAnswer: .probeAnswer
        case .path: .path
        case .names: .names
        case .namesAnswer: .namesAnswer
        case .release: .release
        case .goodbye: .goodbye
        }
    }
}

private struct FrameWriter {
    private var bytes: [UInt8]

    init(kind: FrameLayout.Kind) { bytes = [0, FrameLayout.version, kind.rawValue, 0, 0, 0] }

    mutating func field(_ field: FrameLayout.Field, _ value: [UInt8]) {
        bytes.append(field.rawValue)
        bytes.append(bigEndian: UInt16(truncatingIfNeeded: value.count))
        bytes += value
    }

    mutating func number(_ number: UInt64) {
        bytes.append(FrameLayout.Field.number.rawValue)
        bytes.append(bigEndian: UInt16(8))
        bytes.append(bigEndian: number)
    }

    mutating func text(_ text: String, _ kind: FrameLayout.Field) { field(kind, Array(text.utf8)) }

    mutating func proxies(_ proxies: [IPAddress]) {
        for proxy in proxies.prefix(ControlFrame.Limits.proxies) { field(.proxy, proxy.bytes) }
    }

    consuming func finish() -> [UInt8] {
        let length = bytes.count - FrameLayout.headerByteCount
        bytes[4] = UInt8(truncatingIfNeeded: length >> 8)
        bytes[5] = UInt8(truncatingIfNeeded: length)
        return bytes
    }
}

// MARK: - Reading

extension ControlFrame {
    /// Reads a frame at the start of `bytes`; what follows it is padding.
    public init(reading bytes: RawSpan) throws(ControlFrameError) {
        guard bytes.byteCount >= FrameLayout.headerByteCount else { throw .truncated }
        guard bytes.byte(at: 0) == 0 else { throw .notAFrame }
        let version = bytes.byte(at: 1)
        guard version == FrameLayout.version else { throw .version(version) }
        let length = Int(bytes.uint16(at: 4))
        guard length <= bytes.byteCount - FrameLayout.headerByteCount else { throw .truncated }
        guard let kind = FrameLayout.Kind(rawValue: bytes.byte(at: 2)) else {
            throw .kind(bytes.byte(at: 2))
        }
        let start = FrameLayout.headerByteCount
        let fields = try FrameFields(bytes.extracting(start..<start + length))
        switch kind {
        case .probe: self = .probe(number: try fields.needNumber())
        case .probeAnswer: self = .probeAnswer(number: try fields.needNumber())
        case .path: self = .path(number: try fields.needNumber())
        case .names:
            self = .names(
                Names(
                    epoch: try fields.needNumber(),
                    resource: try fields.needResource(),
                    name: try fields.needName(),
                    proxies: fields.proxies
                )
            )
        case .namesAnswer:
            self = .namesAnswer(
                NamesAnswer(
                    epoch: try fields.needNumber(),
                    resource: try fields.needResource(),
                    name: try fields.needName(),
                    status: Status(code: try fields.needStatus()),
                    families: fields.families
                )
            )
        case .release:
            self = .release(
                Release(
                    epoch: try fields.needNumber(),
                    name: try fields.needName(),
                    proxies: fields.proxies
                )
            )
        case .goodbye: self = .goodbye(Goodbye(code: try fields.needStatus()))
        }
    }
}

/// The fields of one frame; of a field that may not be repeated the last one counts.
private struct FrameFields {
    private var number: UInt64?
    private var resource: String?
    private var name: String?
    private var status: UInt8?
    private(set) var proxies: [IPAddress] = []
    private(set) var families: Set<IPFamily> = []

    init(_ bytes: RawSpan) throws(ControlFrameError) {
        var offset = 0
        while offset < bytes.byteCount {
            guard offset + 3 <= bytes.byteCount else { throw .truncated }
            let type = bytes.byte(at: offset)
            let length = Int(bytes.uint16(at: offset + 1))
            guard length <= bytes.byteCount - offset - 3 else { throw .truncated }
            let value = bytes.extracting(offset + 3..<offset + 3 + length)
            if let field = FrameLayout.Field(rawValue: type) { try set(field, value) }
            offset += 3 + length
        }
    }

    private mutating func set(
        _ field: FrameLayout.Field,
        _ value: RawSpan
    ) throws(ControlFrameError) {
        let malformed = ControlFrameError.malformed(field: field.rawValue)
        switch field {
        case .number:
            guard value.byteCount == 8 else { throw malformed }
            number = value.uint64(at: 0)
        case .resource:
            resource = try text(value, byteCountMax: ControlFrame.Limits.resourceByteCount, field)
        case .name:
            name = try text(value, byteCountMax: ControlFrame.Limits.nameByteCount, field)
        case .proxy:
            guard let proxy = IPAddress(bytes: value),
                proxies.count < ControlFrame.Limits.proxies
            else { throw malformed }
            proxies.append(proxy)
        case .status:
            guard value.byteCount == 1 else { throw malformed }
            status = value.byte(at: 0)
        case .families:
            guard value.byteCount == 1 else { throw malformed }
            families = []
            if value.byte(at: 0) & 1 != 0 { families.insert(.ipv4) }
            if value.byte(at: 0) & 2 != 0 { families.insert(.ipv6) }
        }
    }

    private func text(
        _ value: RawSpan,
        byteCountMax: Int,
        _ field: FrameLayout.Field
    ) throws(ControlFrameError) -> String {
        guard value.byteCount <= byteCountMax,
            let text = String(validating: value.array, as: UTF8.self)
        else { throw .malformed(field: field.rawValue) }
        return text
    }

    func needNumber() throws(ControlFrameError) -> UInt64 {
        guard let number else { throw .missing(field: FrameLayout.Field.number.rawValue) }
        return number
    }

    func needResource() throws(ControlFrameError) -> String {
        guard let resource else { throw .missing(field: FrameLayout.Field.resource.rawValue) }
        return resource
    }

    func needName() throws(ControlFrameError) -> String {
        guard let name else { throw .missing(field: FrameLayout.Field.name.rawValue) }
        return name
    }

    func needStatus() throws(ControlFrameError) -> UInt8 {
        guard let status else { throw .missing(field: FrameLayout.Field.status.rawValue) }
        return status
    }
}

// MARK: - Codes

extension ControlFrame.Status {
    fileprivate var code: UInt8 {
        switch self {
        case .active: 0
        case .notAuthorized: 1
        case .nameMismatch: 2
        case .noAddresses: 3
        case .unresolved: 4
        case .other(let code): code
        }
    }

    fileprivate init(code: UInt8) {
        let known: [Self] = [.active, .notAuthorized, .nameMismatch, .noAddresses, .unresolved]
        self = Int(code) < known.count ? known[Int(code)] : .other(code)
    }
}

extension ControlFrame.Goodbye {
    fileprivate var code: UInt8 {
        switch self {
        case .shutdown: 0
        case .finished: 1
        case .draining: 2
        case .other(let code): code
        }
    }

    fileprivate init(code: UInt8) {
        let known: [Self] = [.shutdown, .finished, .draining]
        self = Int(code) < known.count ? known[Int(code)] : .other(code)
    }
}
