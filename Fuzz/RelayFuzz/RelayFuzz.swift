// # RelayFuzz
//
// libFuzzer's way to `FuzzEntry.relay`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.relay.run(start, count)
}

/// Where the program begins.
@_cdecl("RelayFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.relay.main(argumentCount, arguments, testOneInput)
}
