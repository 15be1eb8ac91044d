/// Debian's sshd on a host of a lab, which lets in whoever has the lab's key, and `ssh` to it.
enum SecureShell {
    /// Starts the server.
    ///
    /// - Throws: ``LabError`` when it does not listen.
    static func start(on host: LabHost) throws {
        let folder = host.folder
        for name in ["host_key", "key"] {
            try host.must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)")
        }
        let configuration = try host.write(
            "sshd_config",
            """
            Port 22
            HostKey \(folder)/host_key
            AuthorizedKeysFile \(folder)/key.pub
            PidFile none
            StrictModes no
            UsePAM no
            PermitRootLogin prohibit-password

            """
        )
        try host.must("mkdir", "-p", "/run/sshd")
        // sshd closes what it inherits, by which Foundation would believe that it has ended.
        let script =
            "/usr/sbin/sshd -D -e -f \(configuration) & p=$!; trap \"kill $p\" TERM; wait $p; wait $p"
        _ = try host.start("sshd", ["sh", "-c", script])
        let listens = try Lab.waits(seconds: 10) {
            try host.run("ss", "-Hltn", "sport", "=", ":22").output.contains(":22")
        }
        guard listens else { throw LabError("sshd does not listen on \(host.title).") }
    }

    /// The words of a session on `server`.
    ///
    /// - Parameters:
    ///   - server: Where ``start(on:)`` was called.
    ///   - address: A name or an address of it.
    ///   - family: `-4` or `-6`.
    ///   - words: What the session runs.
    /// - Returns: A command for the host that asks.
    static func session(
        on server: LabHost,
        at address: String,
        family: String,
        _ words: [String]
    ) -> [String] {
        [
            "ssh", family, "-F", "none", "-i", "\(server.folder)/key", "-o",
            "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
            "LogLevel=ERROR", "root@\(address)",
        ] + words
    }
}
