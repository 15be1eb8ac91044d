// # WireGuardFuzz
//
// libFuzzer's way to `FuzzEntry.wireGuard`.

public import FuzzDriver
internal import FuzzEntries

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzEntry.wireGuard.run(start, count)
}

/// Where the program begins.
@_cdecl("WireGuardFuzz_main")
public func main(_ argumentCount: CInt, _ arguments: ProgramArguments?) -> CInt {
    unsafe FuzzEntry.wireGuard.main(argumentCount, arguments, testOneInput)
}
