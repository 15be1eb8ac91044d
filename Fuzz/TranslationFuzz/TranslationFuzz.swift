// # TranslationFuzz
//
// libFuzzer's way to `FuzzEntry.translation`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.translation.run(start, count)
}

/// Where the program begins.
@_cdecl("TranslationFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.translation.main(argumentCount, arguments, testOneInput)
}
