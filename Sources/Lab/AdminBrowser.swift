internal import Foundation

/// Visits the web admin as a person would: `curl` for what it says, headless Chromium for how it
/// looks.
struct AdminBrowser {
    private let host: LabHost
    private static let portal = "https://portal.example:8443"

    init(host: LabHost) { self.host = host }

    private var jar: String { "\(host.folder)/cookies" }

    /// Sets the first administrator's password by the one-time `link`; signed in from then on.
    func signIn(link: String, email: String, password: String) throws {
        let form = try fetch(link)
        guard let action = Self.attribute("action", in: form, after: "<form"),
            let key = Self.attribute("value", in: form, after: "name=\"formKey\"")
        else { throw LabError("The link shows no form to set a password:\n\(form)") }
        let answer = try fetch(
            Self.portal + action,
            "--data-urlencode",
            "formKey=\(key)",
            "--data-urlencode",
            "email=\(email)",
            "--data-urlencode",
            "password=\(password)",
            "--data-urlencode",
            "repeated=\(password)"
        )
        guard !answer.contains("class=\"fault\"") else {
            throw LabError("The password was refused:\n\(answer)")
        }
    }

    /// The HTML of a page.
    func page(_ path: String) throws -> String { try fetch(Self.portal + path) }

    /// A screenshot of a page, 1,440 pixels wide.
    ///
    /// Chromium knows neither the portal's authority nor the session, so a proxy on loopback brings
    /// both.
    func picture(of path: String, to file: String) throws {
        let proxy = try startProxy()
        defer { proxy.stop() }
        let outcome = try host.run(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--user-data-dir=\(host.folder)/chromium",
            "--window-size=1440,900",
            "--virtual-time-budget=3000",
            "--screenshot=\(file)",
            "http://127.0.0.1:8080\(path)",
            seconds: 90
        )
        guard FileManager.default.fileExists(atPath: file) else {
            throw LabError("Chromium made no picture: \(outcome.output.suffix(2_000))")
        }
    }

    private func startProxy() throws -> Running {
        let lines = (try? String(contentsOfFile: jar, encoding: .utf8)) ?? ""
        let cookies = lines.split(separator: "\n").compactMap { line -> String? in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            return fields.count == 7 ? "\(fields[5])=\(fields[6])" : nil
        }
        let path = try host.write(
            "proxy.conf",
            """
            daemon off;
            user root;
            pid \(host.folder)/proxy.pid;
            error_log stderr;
            events { worker_connections 64; }
            http {
                access_log off;
                client_body_temp_path \(host.folder)/p1;
                proxy_temp_path \(host.folder)/p2;
                fastcgi_temp_path \(host.folder)/p3;
                uwsgi_temp_path \(host.folder)/p4;
                scgi_temp_path \(host.folder)/p5;
                server {
                    listen 127.0.0.1:8080;
                    location / {
                        proxy_pass https://\(Internet.portal.ipv4):8443;
                        proxy_set_header Host portal.example:8443;
                        proxy_set_header Cookie "\(cookies.joined(separator: "; "))";
                    }
                }
            }
            """
        )
        let proxy = try host.start("proxy", ["nginx", "-c", path, "-e", "stderr"])
        let listens = try Lab.waits(seconds: 10) {
            try host.run("ss", "-Hltn", "sport", "=", ":8080").output.contains(":8080")
        }
        guard listens else { throw LabError("The proxy does not listen: \(proxy.output)") }
        return proxy
    }

    private func fetch(_ url: String, _ options: String...) throws -> String {
        let outcome = try host.run(
            ["curl", "-skSL", "-m", "10", "-b", jar, "-c", jar] + options + [url]
        )
        guard outcome.code == 0 else {
            throw LabError("\(url) could not be fetched: \(outcome.output)")
        }
        return outcome.output
    }

    /// The value of `name` in the first tag after `mark`.
    private static func attribute(_ name: String, in html: String, after mark: String) -> String? {
        guard let start = html.range(of: mark)?.upperBound,
            let open = html.range(of: "\(name)=\"", range: start..<html.endIndex)?.upperBound,
            let close = html.range(of: "\"", range: open..<html.endIndex)?.lowerBound
        else { return nil }
        return String(html[open..<close])
    }
}
