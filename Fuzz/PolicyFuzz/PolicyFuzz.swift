// # PolicyFuzz
//
// libFuzzer's way to `FuzzEntry.policy`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.policy.run(start, count)
}

/// Where the program begins.
@_cdecl("PolicyFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.policy.main(argumentCount, arguments, testOneInput)
}
