// # PeeringFuzz
//
// libFuzzer's way to `FuzzEntry.peering`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.peering.run(start, count)
}

/// Where the program begins.
@_cdecl("PeeringFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.peering.main(argumentCount, arguments, testOneInput)
}
