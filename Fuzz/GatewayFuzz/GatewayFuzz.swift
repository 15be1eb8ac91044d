// # GatewayFuzz
//
// libFuzzer's way to `FuzzEntry.gateway`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.gateway.run(start, count)
}

/// Where the program begins.
@_cdecl("GatewayFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.gateway.main(argumentCount, arguments, testOneInput)
}
