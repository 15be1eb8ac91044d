internal import Foundation
internal import Testing

@testable internal import Linux

@Suite("The units for systemd")
struct UnitFileTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "packaging")

    static let roles = ["client", "gateway", "relay", "portal"]

    /// Settings by name; those that come more than once, joined by blanks.
    static func settings(_ role: String) throws -> [String: String] {
        let url = folder.appending(path: "culvert-\(role).service")
        var settings: [String: String] = [:]
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
            guard !line.hasPrefix("#"), let sign = line.firstIndex(of: "=") else { continue }
            let value = String(line[line.index(after: sign)...])
            settings[String(line[..<sign]), default: ""] += value
        }
        return settings
    }

    @Test(
        "each starts its role, again after a crash, and not with wrong settings",
        arguments: roles
    )
    func starts(role: String) throws {
        let settings = try Self.settings(role)
        #expect(settings["ExecStart"] == "/usr/bin/culvert \(role)")
        #expect(settings["Restart"] == "on-failure")
        #expect(settings["RestartPreventExitStatus"] == "2")
        #expect(settings["StateDirectory"] == "culvert/\(role)")
        #expect(settings["WantedBy"] == "multi-user.target")
        let exec = try #require(settings["ConditionPathExists"])
        #expect(exec == "/etc/culvert/\(role).yaml")
    }

    @Test("the client's puts the host back whatever ends the process, and starts behind resolved")
    func restores() throws {
        let settings = try Self.settings("client")
        #expect(settings["ExecStopPost"] == "/usr/bin/culvert down")
        #expect(settings["After"]?.contains("systemd-resolved.service") ?? false)
    }

    @Test("the gateway's puts the host back whatever ends the process, by notes that outlive it")
    func gatewayRestores() throws {
        let settings = try Self.settings("gateway")
        #expect(settings["ExecStopPost"] == "/usr/bin/culvert gateway --restore")
        #expect(settings["RuntimeDirectory"] == "culvert")
        #expect(settings["RuntimeDirectoryPreserve"] == "yes")
    }

    @Test("the gateway's lets a restart keep what the next process goes on with")
    func gatewayIsUpgraded() throws {
        let settings = try Self.settings("gateway")
        #expect(settings["NotifyAccess"] == "main")
        #expect(Int(settings["FileDescriptorStoreMax"] ?? "") ?? 0 >= 8)
    }

    @Test("client and gateway keep what they work with", arguments: ["client", "gateway"])
    func works(role: String) throws {
        let settings = try Self.settings(role)
        let capabilities = try #require(settings["CapabilityBoundingSet"]).split(separator: " ")
        for needed in ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_CHOWN"] {
            #expect(capabilities.contains(Substring(needed)))
        }
        #expect(settings["DeviceAllow"] == "/dev/net/tun rw")
        #expect(settings["RestrictNamespaces"] == "net")
        #expect(settings["RestrictAddressFamilies"]?.contains("AF_NETLINK") ?? false)
        // They would hide the tunnel device, or make /proc/sys read-only.
        for forbidden in ["PrivateDevices", "ProtectKernelTunables", "ProcSubset"] {
            #expect(settings[forbidden] == nil)
        }
        if role == "client" { #expect(settings["ReadWritePaths"] == "/etc") }
    }

    @Test("none may gain privileges, write elsewhere, or see homes", arguments: roles)
    func confined(role: String) throws {
        let settings = try Self.settings(role)
        for name in [
            "NoNewPrivileges", "ProtectHome", "PrivateTmp", "ProtectKernelModules",
            "RestrictSUIDSGID", "MemoryDenyWriteExecute", "LockPersonality",
        ] {
            #expect(settings[name] == "yes", "\(name)")
        }
        #expect(settings["ProtectSystem"] == "strict")
        #expect(settings["SystemCallFilter"] == "@system-service")
        let isPrivileged = ["client", "gateway"].contains(role)
        #expect((settings["DynamicUser"] == "yes") != isPrivileged)
    }

    @Test(
        "systemd itself understands them",
        .enabled(if: Subprocess.find("systemd-analyze") != nil, "systemd-analyze is missing"),
        arguments: roles
    )
    func verified(role: String) throws {
        let program = try #require(Subprocess.find("systemd-analyze"))
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "cvlx-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let name = "culvert-\(role).service"
        // It wants the program to be there.
        let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
            .replacingOccurrences(of: "/usr/bin/culvert", with: "/bin/true")
        let copy = folder.appending(path: name)
        try Data(text.utf8).write(to: copy)
        let outcome = try Subprocess.run(
            program,
            ["verify", "--man=no", "--recursive-errors=no", copy.path()],
            timeout: .seconds(20)
        )
        #expect(outcome == .init(status: 0, output: ""))
    }
}
