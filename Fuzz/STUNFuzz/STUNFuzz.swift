// # STUNFuzz
//
// libFuzzer's way to `FuzzEntry.stun`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.stun.run(start, count)
}

/// Where the program begins.
@_cdecl("STUNFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.stun.main(argumentCount, arguments, testOneInput)
}
