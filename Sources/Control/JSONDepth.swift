internal import Bytes

/// Looks at a frame before a decoder does: its size, and how deep it nests.
///
/// A scan of the bytes, O(n), no allocation; whether they are JSON is for the decoder to say.
public enum JSONDepth {
    /// Why a frame is not even decoded.
    public enum Refusal: Error, Hashable, Sendable {
        /// More than `ChannelLimits.frameByteCount` bytes; how many.
        case tooLarge(byteCount: Int)
        /// Nested deeper than `ChannelLimits.depth`; where the next level begins.
        case tooDeep(offset: Int)
    }

    /// Passes a frame that is small and flat enough.
    public static func check(
        _ frame: RawSpan,
        byteCountMax: Int = ChannelLimits.frameByteCount,
        depthMax: Int = ChannelLimits.depth
    ) throws(Refusal) {
        guard frame.byteCount <= byteCountMax else { throw .tooLarge(byteCount: frame.byteCount) }
        var depth = 0
        var isInString = false
        var isEscaped = false
        for offset in 0..<frame.byteCount {
            let byte = frame.byte(at: offset)
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= depthMax else { throw .tooDeep(offset: offset) }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth = max(0, depth - 1)
            default: break
            }
        }
    }
}
