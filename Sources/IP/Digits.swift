extension FixedWidthInteger {
    /// A decimal number of ASCII digits alone: no sign, no leading zero; nil when out of range.
    init?(digits text: Substring) {
        guard text.utf8.allSatisfy({ (48...57).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != 48
        else { return nil }
        self.init(text)
    }
}
