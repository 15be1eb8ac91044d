internal import Bytes
internal import Glibc
internal import IP
internal import Testing

@testable internal import Linux

@Suite("Link-local addresses with their links")
struct LinkScopeTests {
    /// The address and link that the kernel is told.
    static func told(_ endpoint: Endpoint) -> (Endpoint, link: UInt32) {
        let address = SocketAddress(scoped: endpoint)
        let link = unsafe address.withPointer { pointer, byteCount in
            byteCount < 28
                ? 0
                : unsafe UnsafeRawPointer(pointer).loadUnaligned(
                    fromByteOffset: 24,
                    as: UInt32.self
                )
        }
        return (address.endpoint, link)
    }

    @Test("the kernel gets the link beside the address, with no trace of it inside")
    func scoped() throws {
        let address = try #require(IPAddress("fe80::1"))
        let (endpoint, link) = Self.told(Endpoint(address.onLink(70_000), port: 53))
        #expect(endpoint == Endpoint(address, port: 53))
        #expect(link == 70_000)
        #expect(address.isWithoutLink)
        #expect(!address.onLink(1).isWithoutLink)
    }

    @Test(
        "other addresses are as they are",
        arguments: ["192.0.2.1", "169.254.169.253", "2001:db8::1", "fe80::1", "::1"]
    )
    func others(text: String) throws {
        let address = try #require(IPAddress(text))
        let (endpoint, link) = Self.told(Endpoint(address, port: 53))
        #expect(endpoint == Endpoint(address, port: 53))
        #expect(link == 0)
        if !text.hasPrefix("fe80") { #expect(address.onLink(3) == address) }
        #expect(address.isWithoutLink == text.hasPrefix("fe80"))
    }
}
