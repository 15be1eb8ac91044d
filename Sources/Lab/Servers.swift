/// The stock servers of a lab.
public enum Servers {
    /// A public resolver (`unbound`) that knows `records` (zone file lines) and says NXDOMAIN to
    /// everything else, or what `more` says; its log has a line for each query.
    ///
    /// - Parameters:
    ///   - host: Where it runs.
    ///   - listening: Its addresses, `address@port` for another port than 53.
    ///   - records: What it knows by itself.
    ///   - modules: `validator iterator` for one that validates.
    ///   - more: Further lines of its configuration.
    /// - Returns: Its process.
    /// - Throws: ``LabError`` when it does not start.
    @discardableResult
    public static func unbound(
        on host: LabHost,
        listening: [String],
        records: [String],
        modules: String = "iterator",
        more: String = ""
    ) throws -> Running {
        let data = records.map { "    local-data: \"\($0)\"" }.joined(separator: "\n")
        let path = try host.write(
            "unbound.conf",
            """
            server:
            \(listening.map { "    interface: \($0)" }.joined(separator: "\n"))
                access-control: 0.0.0.0/0 allow
                access-control: ::/0 allow
                do-daemonize: no
                use-syslog: no
                log-queries: yes
                verbosity: 1
                logfile: ""
                chroot: ""
                username: ""
                pidfile: ""
                directory: "\(host.folder)"
                module-config: "\(modules)"
                local-zone: "." static
            \(data)
            \(more)
            remote-control:
                control-enable: no
            """
        )
        let server = try host.start("unbound", ["unbound", "-d", "-c", path])
        try server.waitForOutput("start of service")
        return server
    }

    /// A site's own name server (`nsd`), authoritative for `zone`.
    public static func nsd(
        on host: LabHost,
        listening: [String],
        zone: String,
        records: [String]
    ) throws -> Running {
        try nsd(on: host, listening: listening, zones: [(zone, Self.zone(zone, records))])
    }

    /// A name server (`nsd`), authoritative for `zones`, each with the text of its file; by another
    /// title where it is the second one of its host.
    public static func nsd(
        on host: LabHost,
        titled title: String = "nsd",
        listening: [String],
        zones: [(name: String, text: String)]
    ) throws -> Running {
        let clauses = try zones.map { name, text in
            let file = try host.write("\(name).zone", text)
            return "zone:\n    name: \"\(name)\"\n    zonefile: \"\(file)\""
        }
        let path = try host.write(
            "\(title).conf",
            """
            server:
            \(listening.map { "    ip-address: \($0)" }.joined(separator: "\n"))
                username: ""
                chroot: ""
                zonesdir: "\(host.folder)"
                pidfile: "\(host.folder)/\(title).pid"
                database: ""
                xfrdfile: "\(host.folder)/\(title).state"
                xfrdir: "\(host.folder)"
                zonelistfile: "\(host.folder)/\(title).list"
                server-count: 1
                rrl-ratelimit: 0
                rrl-whitelist-ratelimit: 0
                verbosity: 1
            remote-control:
                control-enable: no
            \(clauses.joined(separator: "\n"))
            """
        )
        let server = try host.start(title, ["nsd", "-d", "-c", path])
        try server.waitForOutput("nsd started")
        return server
    }

    /// The text of a zone's file.
    static func zone(_ zone: String, _ records: [String]) -> String {
        """
        $ORIGIN \(zone).
        $TTL 5
        @ IN SOA ns hostmaster 1 3600 600 86400 5
        @ IN NS ns
        \(records.joined(separator: "\n"))

        """
    }

    /// One virtual host of a web server.
    public struct Site: Sendable {
        let name: String
        let body: String
        let allowed: [String]
        let rate: Int?

        /// - Parameters:
        ///   - name: The name that it answers to.
        ///   - body: The text of its page.
        ///   - allowed: Who may fetch it; empty means everybody.
        ///   - rate: Bytes a second for one download; nil for as fast as it goes.
        public init(name: String, body: String, allowed: [String] = [], rate: Int? = nil) {
            (self.name, self.body, self.allowed, self.rate) = (name, body, allowed, rate)
        }
    }

    /// A web server (`nginx`) for plain HTTP on port 80 of every address; `access.log` in the
    /// host's folder has a line `address name status` for each request.
    public static func nginx(on host: LabHost, sites: [Site]) throws -> Running {
        let servers = try sites.map { site in
            try host.write("\(site.name)/index.html", site.body + "\n")
            let rules =
                site.allowed.map { "allow \($0);" } + (site.allowed.isEmpty ? [] : ["deny all;"])
            return """
                    server {
                        listen 80;
                        listen [::]:80;
                        server_name \(site.name);
                        root \(host.folder)/\(site.name);
                        \(rules.joined(separator: " "))
                        \(site.rate.map { "limit_rate \($0);" } ?? "")
                    }
                """
        }
        let path = try host.write(
            "nginx.conf",
            """
            daemon off;
            user root;
            worker_processes 1;
            pid \(host.folder)/nginx.pid;
            error_log \(host.folder)/nginx-error.log;
            events { worker_connections 256; }
            http {
                log_format short '$remote_addr $host $status';
                access_log \(host.folder)/access.log short;
                client_body_temp_path \(host.folder)/body;
                proxy_temp_path \(host.folder)/proxy;
                fastcgi_temp_path \(host.folder)/fastcgi;
                uwsgi_temp_path \(host.folder)/uwsgi;
                scgi_temp_path \(host.folder)/scgi;
                sendfile on;
                sendfile_max_chunk 128k;
            \(servers.joined(separator: "\n"))
            }
            """
        )
        let server = try host.start("nginx", ["nginx", "-c", path, "-e", "stderr"])
        let listens = try Lab.waits(seconds: 10) {
            try host.run("ss", "-Hltn", "sport", "=", ":80").output.contains(":80")
        }
        guard listens else { throw LabError("nginx does not listen: \(server.output)") }
        return server
    }
}
