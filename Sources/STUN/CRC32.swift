internal import Bytes

/// The checksum of FINGERPRINT (RFC 8489 14.7): CRC-32 of ITU V.42.
enum CRC32 {
    /// What FINGERPRINT is XORed with, so that it differs from a checksum of an application.
    static let fingerprintMask: UInt32 = 0x5354_554e

    static func checksum(_ bytes: RawSpan) -> UInt32 {
        var crc = UInt32.max
        for offset in 0..<bytes.byteCount {
            crc ^= UInt32(bytes.byte(at: offset))
            crc = crc >> 4 ^ table[Int(crc & 15)]
            crc = crc >> 4 ^ table[Int(crc & 15)]
        }
        return ~crc
    }

    /// The remainders of four bits.
    private static let table: InlineArray<16, UInt32> = [
        0x0000_0000, 0x1db7_1064, 0x3b6e_20c8, 0x26d9_30ac,
        0x76dc_4190, 0x6b6b_51f4, 0x4db2_6158, 0x5005_713c,
        0xedb8_8320, 0xf00f_9344, 0xd6d6_a3e8, 0xcb61_b38c,
        0x9b64_c2b0, 0x86d3_d2d4, 0xa00a_e278, 0xbdbd_f21c,
    ]
}
