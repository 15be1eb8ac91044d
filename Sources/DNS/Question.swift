/// What a query asks (RFC 1035 section 4.1.2).
public struct Question: Hashable, Sendable {
    /// Whose records.
    public var name: Name
    /// Which type of records.
    public var type: RecordType
    /// Which class of records.
    public var recordClass: RecordClass

    public init(_ name: Name, _ type: RecordType, _ recordClass: RecordClass = .internet) {
        (self.name, self.type, self.recordClass) = (name, type, recordClass)
    }
}
