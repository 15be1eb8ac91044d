import Foundation
import SimulatedWorld

/// `culvert-simulate`: see `--help`.
@main
enum Simulate {
    static func main() async {
        do {
            let arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
            guard try await perform(arguments) else { exit(1) }
        } catch let error as ArgumentError {
            print(error.sentence)
            exit(2)
        } catch {
            print(error)
            exit(1)
        }
    }

    /// - Returns: Whether all is well.
    private static func perform(_ arguments: Arguments) async throws -> Bool {
        switch arguments.task {
        case .help: print(Arguments.help)
        case .seeds: return await Runner(arguments).run()
        case .mistakes(let mistakes):
            let sought = mistakes.map { seek($0, arguments) }
            return sought.allSatisfy { $0 }
        case .connect(let client, let gateway):
            for line in Connectivity.trace(client: client, gateway: gateway) { print(line) }
        case .connectivity(let write, let check): return try tabulate(write, check)
        }
        return true
    }

    /// Makes a mistake on purpose, in one world after the other, until one of them finds it.
    private static func seek(_ mistake: Mistake, _ arguments: Arguments) -> Bool {
        let start = ContinuousClock.now
        let hunt = Hunt.run(
            mistake,
            seeds: arguments.seed.map { $0...$0 } ?? 1...arguments.seeds,
            isTracing: arguments.isVerbose
        )
        let seconds = start.duration(to: .now) / .seconds(1)
        for line in hunt.trace { print(line) }
        let minutes = (hunt.elapsed / .seconds(60) * 10).rounded() / 10
        let effort = "\(hunt.seeds) seeds, \(minutes) virtual minutes, \(seconds) s"
        guard let failure = hunt.failure else {
            print("\(mistake.rawValue): not found in \(effort)")
            return false
        }
        print("\(mistake.rawValue): found in \(effort): \(failure)")
        return true
    }

    /// Makes the page, and says which pairs break the promise.
    ///
    /// - Returns: Whether none does, and whether a file that is checked is the page.
    private static func tabulate(_ write: String?, _ check: String?) throws -> Bool {
        let connectivity = Connectivity()
        let problems = connectivity.cells.compactMap(\.problem)
        for problem in problems { print(problem) }
        let page = connectivity.page
        if let write { try Data(page.utf8).write(to: URL(filePath: write)) }
        if let check {
            let isSame = try String(contentsOf: URL(filePath: check), encoding: .utf8) == page
            if !isSame {
                print(
                    "\(check) is not what is measured: culvert-simulate --connectivity --write it"
                )
            }
            return isSame && problems.isEmpty
        }
        if write == nil { print(page) }
        return problems.isEmpty
    }
}
