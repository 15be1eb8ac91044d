internal import CLinux
internal import Glibc
internal import SansIO

/// Waits for changes of the ruleset of nftables (iptables of today makes its rules there too), in
/// the network namespace of the thread that makes it.
struct RulesetWatch: ~Copyable, Sendable {
    enum Limits {
        /// A burst ends when nothing has happened for so long.
        static var quiet: Duration { .milliseconds(50) }
        /// A burst is told after so long even when it goes on.
        static var longest: Duration { .milliseconds(250) }
        /// Bytes of one read; what they say is not looked at.
        static var readByteCount: Int { 64 << 10 }
    }

    /// Why waiting has ended.
    enum Event: Equatable {
        /// The ruleset has changed.
        case changed
        /// The time is over.
        case time
        /// The thread shall end.
        case finished
    }

    /// NFNLGRP_NFTABLES.
    private static var group: Int32 { 7 }

    private let netlink: FileDescriptor

    /// - Throws: ``SystemError`` when the kernel has no such socket to give.
    init() throws(SystemError) {
        netlink = try FileDescriptor(netlink: NETLINK_NETFILTER, groups: [Self.group])
    }

    /// Waits for the end of a burst of changes.
    ///
    /// - Parameters:
    ///   - timeout: How long; nil for ever.
    ///   - executor: Ends the wait when it is finished.
    /// - Returns: Why it has ended.
    func wait(_ timeout: Duration?, until executor: LoopExecutor) -> Event {
        let end = timeout.map { SystemClock.now().advanced(by: $0) }
        var burstEnd: Instant?
        while !executor.isFinished {
            let now = SystemClock.now()
            var left = end.map { now.duration(to: $0) }
            if let burstEnd { left = min(Limits.quiet, now.duration(to: burstEnd)) }
            if let left, left <= .zero { return burstEnd == nil ? .time : .changed }
            let count = poll(left, [netlink.raw, executor.descriptor])
            if count == 0, burstEnd != nil { return .changed }
            if drain(), burstEnd == nil { burstEnd = now.advanced(by: Limits.longest) }
        }
        return .finished
    }

    /// Waits for the time to be over, or for the executor's end only.
    func rest(_ time: Duration, until executor: LoopExecutor) {
        let end = SystemClock.now().advanced(by: time)
        while !executor.isFinished {
            let left = SystemClock.now().duration(to: end)
            guard left > .zero else { return }
            _ = poll(left, [executor.descriptor])
        }
    }

    private func poll(_ time: Duration?, _ descriptors: [Int32]) -> Int32 {
        let milliseconds = time.map { Int32(clamping: $0.nanoseconds / 1_000_000 + 1) } ?? -1
        var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        return unsafe polled.withUnsafeMutableBufferPointer { buffer in
            unsafe Glibc.poll(buffer.baseAddress, nfds_t(buffer.count), milliseconds)
        }
    }

    /// Whether something came; ENOBUFS says that more came than the kernel could keep.
    private func drain() -> Bool {
        var buffer = [UInt8](repeating: 0, count: Limits.readByteCount)
        var isChanged = false
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe Glibc.read(netlink.raw, bytes.baseAddress, bytes.count)
            }
            guard count > 0 || errno == ENOBUFS else { return isChanged }
            isChanged = true
        }
    }
}
