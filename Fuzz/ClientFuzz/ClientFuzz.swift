// # ClientFuzz
//
// libFuzzer's way to `FuzzEntry.client`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.client.run(start, count)
}

/// Where the program begins.
@_cdecl("ClientFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.client.main(argumentCount, arguments, testOneInput)
}
