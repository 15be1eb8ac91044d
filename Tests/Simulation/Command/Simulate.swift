import Glibc
import SimulatedWorld

/// `culvert-simulate`: runs seeds, prints those that fail and how to run them again.
@main
enum Simulate {
    static func main() {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            let failed = Runner(arguments).run()
            if failed > 0 { exit(1) }
        } catch {
            print(error.sentence)
            exit(2)
        }
    }
}
