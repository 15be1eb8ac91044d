internal import Synchronization

/// What people should know of what the client could, or could not, do on its host: for the log when
/// it begins, and for `culvert status` as long as it holds.
final class HostNotices: Sendable {
    /// Whom a notice concerns; in the order in which they are shown.
    enum Subject: Int, CaseIterable {
        case resolver, routes, addresses
    }

    private let sentences = Mutex<[Subject: [String]]>([:])

    /// All that hold now.
    var all: [String] {
        sentences.withLock { sentences in Subject.allCases.flatMap { sentences[$0] ?? [] } }
    }

    /// These hold for a subject from now on.
    ///
    /// - Returns: Those that are new.
    func set(_ subject: Subject, _ sentences: [String]) -> [String] {
        self.sentences.withLock { all in
            let before = all[subject] ?? []
            all[subject] = sentences
            return sentences.filter { !before.contains($0) }
        }
    }
}
