// # DNSFuzz
//
// libFuzzer's way to `FuzzEntry.dns`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.dns.run(start, count)
}

/// Where the program begins.
@_cdecl("DNSFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.dns.main(argumentCount, arguments, testOneInput)
}
