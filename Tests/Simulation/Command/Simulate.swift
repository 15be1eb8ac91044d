import Glibc
import SimulatedWorld

/// `culvert-simulate`: runs seeds, prints those that fail and how to run them again.
@main
enum Simulate {
    static func main() async {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            let failed =
                if let pair = arguments.pair {
                    connect(pair)
                } else if arguments.isConnectivity {
                    tabulate()
                } else {
                    await Runner(arguments).run()
                }
            if failed > 0 { exit(1) }
        } catch {
            print(error.sentence)
            exit(2)
        }
    }

    /// Prints what happens between two kinds of networks.
    private static func connect(_ pair: (client: String, gateway: String)) -> Int {
        for line in Connectivity.trace(client: pair.client, gateway: pair.gateway) { print(line) }
        return 0
    }

    /// Makes the table, and says which pairs break the promise.
    ///
    /// - Returns: How many do.
    private static func tabulate() -> Int {
        let connectivity = Connectivity()
        let problems = connectivity.cells.compactMap(\.problem)
        print(connectivity.page)
        for problem in problems { print(problem) }
        return problems.count
    }
}
