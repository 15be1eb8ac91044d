internal import Foundation
internal import Hummingbird

/// A list on a page: searched, sorted and cut in pages on the server.
struct PageList {
    /// Bounds of a page.
    enum Limits {
        /// Rows on one page.
        static let rowCount = 50
    }

    private let path: String
    private let text: String
    private let sort: String
    private let number: Int
    private let columns: [(name: String, label: String)]

    /// A list that can be sorted by `columns`, and is sorted by the first of them.
    init(_ request: Request, columns: [(name: String, label: String)]) {
        let form = Form.query(of: request)
        let names = columns.map(\.name)
        path = request.uri.path
        text = form["q"]
        let asked = form["sort"]
        let isKnown = names.contains(asked.hasPrefix("-") ? String(asked.dropFirst()) : asked)
        sort = isKnown ? asked : names.first ?? ""
        number = max(1, Int(form["page"]) ?? 1)
        self.columns = columns
    }

    /// What to ask a store for: text, rows before, rows on the page.
    var window: (text: String, offset: Int, count: Int) {
        (text, (number - 1) * Limits.rowCount, Limits.rowCount)
    }

    /// The rows of this page, and what the template needs of the list.
    func cut<Row: Listed>(_ rows: [Row], hint: String) -> (rows: [Row], values: [String: Any]) {
        let found = ListQuery(text: text, sort: sort).apply(to: rows)
        let page = Array(found.dropFirst(window.offset).prefix(window.count))
        return (page, values(shown: page.count, found: found.count, all: rows.count, hint: hint))
    }

    /// What the template needs of the list.
    func values(shown: Int, found: Int, all: Int, hint: String) -> [String: Any] {
        let first = window.offset + 1
        let values: [String: Any?] = [
            "isEmpty": all == 0,
            "isNothingFound": all > 0 && found == 0,
            "query": text,
            "hint": hint,
            "sort": sort,
            "path": path,
            "columns": columns.map(column),
            "range": shown == 0 ? "" : "\(first)–\(first + shown - 1) of \(found)",
            "previous": number > 1 ? href(sort: sort, page: number - 1) : nil,
            "next": window.offset + shown < found ? href(sort: sort, page: number + 1) : nil,
        ]
        return values.present
    }

    private func column(_ column: (name: String, label: String)) -> [String: Any] {
        let isUp = sort == column.name
        let isDown = sort == "-" + column.name
        let values: [String: Any?] = [
            "label": column.label,
            "href": href(sort: isUp ? "-" + column.name : column.name, page: 1),
            "order": isUp ? "ascending" : isDown ? "descending" : nil,
            "mark": isUp ? "↑" : isDown ? "↓" : nil,
        ]
        return values.present
    }

    private func href(sort: String, page: Int) -> String {
        var parts = ["sort=\(sort)"]
        let query = text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        if !query.isEmpty { parts.append("q=\(query)") }
        if page > 1 { parts.append("page=\(page)") }
        return "\(path)?\(parts.joined(separator: "&"))"
    }
}
