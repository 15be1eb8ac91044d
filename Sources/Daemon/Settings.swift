internal import Foundation
internal import Yams

/// Where a role's settings come from: the flag, else `CULVERT_…` in the environment, else
/// `/etc/culvert/<role>.yaml`, else the default.
///
/// A key of the file that the role does not know stops the start, with line and column.
public struct Settings: Sendable {
    private let role: String
    private let environment: [String: String]
    private let file: [String: String]

    /// - Parameters:
    ///   - role: Names the file and is told in errors.
    ///   - keys: The settings that the role knows, as its long flags are spelt (`log-level`).
    ///   - path: The file; only the default one may be missing.
    /// - Throws: ``Sentence`` with file, line and column.
    public init(role: String, keys: [String], path: String? = nil) throws {
        self.role = role
        environment = ProcessInfo.processInfo.environment
        let chosen = path ?? environment["CULVERT_CONFIG"] ?? "/etc/culvert/\(role).yaml"
        let isExplicit = path != nil || environment["CULVERT_CONFIG"] != nil
        guard let data = FileManager.default.contents(atPath: chosen) else {
            guard !isExplicit else {
                throw Sentence("The settings file \(chosen) cannot be read.", exit: .usedWrongly)
            }
            file = [:]
            return
        }
        file = try Self.parse(String(decoding: data, as: UTF8.self), at: chosen, knowing: keys)
    }

    /// The value of `key`.
    public func value(_ key: String, flag: String?) -> String? {
        flag ?? environment[Self.variable(key)] ?? file[key]
    }

    /// The value of `key`, read by `parse`.
    ///
    /// - Throws: ``Sentence`` that names where the wrong value came from.
    public func value<Value>(
        _ key: String,
        flag: String?,
        expecting what: String,
        _ parse: (String) -> Value?
    ) throws -> Value? {
        guard let text = value(key, flag: flag) else { return nil }
        guard let value = parse(text) else {
            let origin =
                flag != nil
                ? "--\(key)"
                : environment[Self.variable(key)] != nil
                    ? Self.variable(key) : "\(key) in /etc/culvert/\(role).yaml"
            throw Sentence(
                "\(origin) is \(text.debugDescription), not \(what).",
                exit: .usedWrongly
            )
        }
        return value
    }

    private static func variable(_ key: String) -> String {
        "CULVERT_" + key.uppercased().replacing("-", with: "_")
    }

    private static func parse(
        _ text: String,
        at path: String,
        knowing keys: [String]
    ) throws -> [String: String] {
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw Sentence("\(path) is not YAML: \(error)", exit: .usedWrongly)
        }
        guard let root else { return [:] }
        func place(_ node: Node) -> String {
            node.mark.map { "\(path):\($0.line):\($0.column)" } ?? path
        }
        guard case .mapping(let mapping) = root else {
            throw Sentence(
                "\(place(root)): settings are lines of `key: value`.",
                exit: .usedWrongly
            )
        }
        var values: [String: String] = [:]
        for (key, value) in mapping {
            guard let name = key.string, keys.contains(name) else {
                throw Sentence(
                    "\(place(key)): there is no setting \((key.string ?? "").debugDescription); "
                        + "known are \(keys.joined(separator: ", ")).",
                    exit: .usedWrongly
                )
            }
            guard case .scalar(let scalar) = value else {
                throw Sentence("\(place(value)): \(name) takes one value.", exit: .usedWrongly)
            }
            values[name] = scalar.string
        }
        return values
    }
}
