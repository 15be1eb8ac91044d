internal import SansIO

/// Who has which port of the relayed addresses.
struct PortTable: Sendable {
    private enum Mark {
        static var free: UInt32 { .max }
        /// Kept for who has the reservation's token.
        static var reserved: UInt32 { .max - 1 }
        /// Asked of the host, not wanted any more: free when the host has answered.
        static var abandoned: UInt32 { .max - 2 }
        /// Not to be lent at all: the main port.
        static var barred: UInt32 { .max - 3 }
    }

    private var owners = [UInt32](repeating: Mark.free, count: 1 << 16)
    private var range: ClosedRange<UInt16>
    private var barred: UInt16

    init(_ range: ClosedRange<UInt16>, besides barred: UInt16) {
        (self.range, self.barred) = (range, barred)
        owners[Int(barred)] = Mark.barred
    }

    /// Other ports from now on; those in use stay.
    mutating func change(to range: ClosedRange<UInt16>, besides barred: UInt16) {
        self.range = range
        if owners[Int(self.barred)] == Mark.barred { owners[Int(self.barred)] = Mark.free }
        self.barred = barred
        if owners[Int(barred)] == Mark.free { owners[Int(barred)] = Mark.barred }
    }

    /// The allocation that has `port`; nil: none has.
    func owner(of port: UInt16) -> UInt32? {
        let owner = owners[Int(port)]
        return owner < Mark.barred ? owner : nil
    }

    func isFree(_ port: UInt16) -> Bool { owners[Int(port)] == Mark.free }

    func isAbandoned(_ port: UInt16) -> Bool { owners[Int(port)] == Mark.abandoned }

    mutating func give(_ port: UInt16, to allocation: UInt32) { owners[Int(port)] = allocation }
    mutating func reserve(_ port: UInt16) { owners[Int(port)] = Mark.reserved }
    mutating func abandon(_ port: UInt16) { owners[Int(port)] = Mark.abandoned }
    mutating func free(_ port: UInt16) {
        owners[Int(port)] = port == barred ? Mark.barred : Mark.free
    }

    /// A free port, drawn from the range.
    ///
    /// - Parameters:
    ///   - isEven: Whether it must be even.
    ///   - isPair: Whether the next one must be free too.
    ///   - random: What draws it.
    /// - Returns: Nil when none is free.
    func pick(isEven: Bool, isPair: Bool, using random: inout RandomSource) -> UInt16? {
        let start = UInt16.random(in: range, using: &random)
        for _ in 0..<32 {
            let port = UInt16.random(in: range, using: &random)
            if fits(port, isEven: isEven, isPair: isPair) { return port }
        }
        // Nearly all are taken: the next one behind a random place.
        var port = start
        repeat {
            if fits(port, isEven: isEven, isPair: isPair) { return port }
            port = port == range.upperBound ? range.lowerBound : port + 1
        } while port != start
        return nil
    }

    private func fits(_ port: UInt16, isEven: Bool, isPair: Bool) -> Bool {
        guard port != 0, isFree(port), !isEven || port % 2 == 0 else { return false }
        return !isPair || port < range.upperBound && isFree(port + 1)
    }
}
