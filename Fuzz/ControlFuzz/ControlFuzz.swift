// # ControlFuzz
//
// libFuzzer's way to `FuzzEntry.control`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.control.run(start, count)
}

/// Where the program begins.
@_cdecl("ControlFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.control.main(argumentCount, arguments, testOneInput)
}
