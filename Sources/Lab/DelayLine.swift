internal import Glibc

/// A wire with length and loss: two TAP devices, and every frame that enters one leaves the other
/// after the delay, in order; or never, by a seed.
///
/// For kernels without netem. It sleeps to the nanosecond in `pselect`, so run it with real-time
/// priority (`chrt -f 10`): then a frame leaves within 0.1 ms of its time, at 200 Mbit/s and more.
/// Both devices are made in the caller's network namespace; move them where they belong.
public struct DelayLine {
    /// What the wire is like, the same both ways.
    public struct Character: Sendable, Equatable {
        /// From one end to the other, in nanoseconds.
        public var delay: Int64
        /// The share of frames that are lost, 0 to 1.
        public var loss: Double
        /// Where the losses come from.
        public var seed: UInt64

        /// - Parameters:
        ///   - milliseconds: From one end to the other.
        ///   - loss: The share of frames that are lost, 0 to 1.
        ///   - seed: Where the losses come from.
        public init(milliseconds: Double = 0, loss: Double = 0, seed: UInt64 = 1) {
            (delay, self.loss, self.seed) = (Int64(milliseconds * 1e6), loss, seed)
        }
    }

    /// Bounds of a line.
    public enum Limits {
        /// Frames under way in one direction; more are lost, as in a full queue.
        public static var frames: Int { 20_000 }
        /// Bytes of one frame.
        static var frameByteCount: Int { 65_536 }
        /// Frames read from one side before the other has its turn.
        static var burst: Int { 64 }
    }

    private let ends: [Int32]
    private let character: Character
    private var queues = [Queue(), Queue()]
    private var loss: LossGenerator
    private var buffer = [UInt8](repeating: 0, count: Limits.frameByteCount)

    /// Makes both devices.
    ///
    /// - Throws: ``LabError`` when a device cannot be made.
    public init(left: String, right: String, character: Character) throws {
        ends = [try Self.open(left), try Self.open(right)]
        self.character = character
        loss = LossGenerator(state: character.seed)
    }

    /// Carries frames for ever.
    public mutating func run() throws -> Never {
        while true {
            try send()
            try wait()
            for end in 0...1 { try receive(from: end) }
        }
    }

    /// Sends what is due.
    private mutating func send() throws {
        let now = Self.now()
        for end in 0...1 {
            while let frame = queues[end].first, frame.due <= now {
                queues[end].removeFirst()
                // A device that is down, or whose owner reads nothing, loses the frame.
                _ = unsafe frame.bytes.withUnsafeBytes {
                    unsafe write(ends[1 - end], $0.baseAddress, $0.count)
                }
            }
        }
    }

    /// Sleeps until a frame comes or is due.
    private func wait() throws {
        var set = fd_set()
        unsafe withUnsafeMutableBytes(of: &set) { bytes in
            for end in ends {
                let byte = Int(end / 8)
                unsafe bytes[byte] |= 1 << UInt8(end % 8)
            }
        }
        let due = [queues[0].first?.due, queues[1].first?.due].compactMap(\.self).min()
        let highest = (ends.max() ?? 0) + 1
        let result: Int32
        if let due {
            let left = max(0, due - Self.now())
            var time = timespec(
                tv_sec: Int(left / 1_000_000_000),
                tv_nsec: Int(left % 1_000_000_000)
            )
            result = unsafe pselect(highest, &set, nil, nil, &time, nil)
        } else {
            result = unsafe pselect(highest, &set, nil, nil, nil, nil)
        }
        guard result >= 0 || errno == EINTR else { throw Self.failure("pselect") }
    }

    private mutating func receive(from end: Int) throws {
        for _ in 0..<Limits.burst {
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe read(ends[end], $0.baseAddress, $0.count)
            }
            guard count > 0 else {
                guard count == 0 || [EAGAIN, EINTR, EIO, EBADFD].contains(errno) else {
                    throw Self.failure("read")
                }
                return
            }
            guard loss.next() >= character.loss, queues[end].count < Limits.frames else { continue }
            queues[end].append(
                Frame(due: Self.now() + character.delay, bytes: Array(buffer[..<count]))
            )
        }
    }

    private static func open(_ name: String) throws -> Int32 {
        let descriptor = unsafe Glibc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open /dev/net/tun") }
        // struct ifreq: the name in 16 bytes, then the flags IFF_TAP | IFF_NO_PI.
        var request = [UInt8](repeating: 0, count: 40)
        let characters = Array(name.utf8)
        guard characters.count < 16 else { throw LabError("\(name) is too long for a device.") }
        request.replaceSubrange(0..<characters.count, with: characters)
        (request[16], request[17]) = (0x02, 0x10)
        let setInterface: UInt = 0x4004_54ca
        let result = unsafe request.withUnsafeMutableBytes { bytes in
            unsafe bytes.baseAddress.map { unsafe ioctl(descriptor, setInterface, $0) } ?? -1
        }
        guard result == 0 else { throw failure("TUNSETIFF \(name)") }
        return descriptor
    }

    private static func failure(_ call: String) -> LabError {
        LabError("The delay line stopped: \(call): \(unsafe String(cString: strerror(errno))).")
    }

    private static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// A frame under way.
private struct Frame {
    let due: Int64
    let bytes: [UInt8]
}

/// First in, first out; removing costs no copy of the rest.
private struct Queue {
    private var frames: [Frame] = []
    private var start = 0

    var count: Int { frames.count - start }
    var first: Frame? { start < frames.count ? frames[start] : nil }

    mutating func append(_ frame: Frame) { frames.append(frame) }

    mutating func removeFirst() {
        start += 1
        guard start >= 1_024 || start == frames.count else { return }
        frames.removeFirst(start)
        start = 0
    }
}

/// SplitMix64: the same losses for the same seed.
private struct LossGenerator {
    var state: UInt64

    /// The next number in 0 ..< 1.
    mutating func next() -> Double {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        mixed ^= mixed >> 31
        return Double(mixed >> 11) * 0x1p-53
    }
}
