/// Why a service on the system bus did not do what it was asked.
public enum BusError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The program busctl is not installed.
    case missing
    /// The service, or the bus, refused; its words.
    case refused(String)
    /// The answer is not what the interface says.
    case unreadable(method: String)
    /// busctl could not be run, or did not answer in time.
    case system(SystemError)

    public var description: String {
        switch self {
        case .missing:
            "The program busctl was not found: it speaks to systemd-resolved. It is part of the "
                + "package systemd."
        case .refused(let words): "The system bus says: \(words)"
        case .unreadable(let method): "The answer to \(method) cannot be read."
        case .system(let error): "busctl could not be run. \(error)."
        }
    }
}

/// Calls methods of services on the system bus (D-Bus) by the program busctl, which comes with
/// systemd and so is wherever a service of systemd is. A call takes some 15 ms.
struct SystemBus: Sendable {
    enum Limits {
        /// How long a service has to answer.
        static var answer: Duration { .seconds(2) }
        /// How long busctl has in all.
        static var call: Duration { .seconds(3) }
    }

    /// A method of an object of a service.
    struct Method: Hashable, Sendable {
        let service: String
        let path: String
        let interface: String
        let name: String
    }

    /// What busctl prints for a method and its arguments; its signature comes first among them.
    typealias Call = @Sendable (Method, [String]) throws(BusError) -> String

    /// How calls are made; other ones are for tests.
    let call: Call

    /// The bus of this host.
    static let host = SystemBus { (method, arguments) throws(BusError) in
        guard let path = Subprocess.find("busctl") else { throw .missing }
        let words = [
            "--system", "--json=short", "--auto-start=no",
            "--timeout=\(Limits.answer.components.seconds)", "call", method.service, method.path,
            method.interface, method.name,
        ]
        let outcome: Subprocess.Outcome
        do throws(SystemError) {
            outcome = try Subprocess.run(path, words + arguments, timeout: Limits.call)
        } catch {
            throw .system(error)
        }
        guard outcome.status == 0 else {
            throw .refused(outcome.output.split(separator: "\n").prefix(2).joined(separator: " "))
        }
        return outcome.output
    }
}
