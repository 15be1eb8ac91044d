// # FuzzDriver
//
// The way from libFuzzer to an entry, the same for all fuzz targets. Of the modules here it alone
// knows libFuzzer; it decides nothing about what is tried.

internal import Bytes
internal import Foundation
public import FuzzEntries

/// What libFuzzer calls for one input.
public typealias FuzzBody = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
/// The arguments of a program, as C has them.
public typealias ProgramArguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

/// libFuzzer's own loop. The package manager names a program's entry point after its target, so
/// that libFuzzer's `main` is not the one that is linked.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<ProgramArguments?>,
    _ body: FuzzBody
) -> CInt

extension FuzzEntry {
    /// The whole program of a fuzz target: `--seeds FOLDER` writes the seeds, everything else is
    /// for libFuzzer.
    @unsafe public func main(
        _ argumentCount: CInt,
        _ arguments: ProgramArguments?,
        _ body: FuzzBody
    ) -> CInt {
        let words = CommandLine.arguments
        if words.count == 3, words[1] == "--seeds" { return writeSeeds(to: words[2]) }
        var (argumentCount, arguments) = unsafe (argumentCount, arguments)
        return unsafe runDriver(&argumentCount, &arguments, body)
    }

    /// Tries the `count` bytes at `start`.
    @unsafe public func run(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
        run(bytes.rawSpan)
        return 0
    }

    private func writeSeeds(to folder: String) -> CInt {
        for (name, bytes) in seeds {
            let file = URL(filePath: folder).appending(path: name)
            guard (try? Data(bytes).write(to: file)) != nil else { return 1 }
        }
        return 0
    }
}
