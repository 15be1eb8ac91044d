// # IPFuzz
//
// libFuzzer's way to `FuzzEntry.ip`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.ip.run(start, count)
}

/// Where the program begins.
@_cdecl("IPFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.ip.main(argumentCount, arguments, testOneInput)
}
