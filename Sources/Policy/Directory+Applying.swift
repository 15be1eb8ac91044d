internal import Control

extension Directory {
    /// Checks a change and makes it.
    ///
    /// - Returns: Whom it touches, so that nobody else needs to be told.
    @discardableResult
    public mutating func apply(_ change: Change) throws(ChangeError) -> Scope {
        try validate(change)
        let scope = scope(of: change)
        if !isKnownUniquelyReferenced(&storage) { storage = DirectoryStorage(copying: storage) }
        storage.make(change)
        return scope
    }

    /// Checks and makes all of `changes`, in order, or none of them.
    ///
    /// - Returns: Whom they touch together.
    @discardableResult
    public mutating func apply(
        contentsOf changes: some Sequence<Change>
    ) throws(ChangeError) -> Scope {
        var next = self
        var scope = Scope()
        for change in changes { scope.formUnion(try next.apply(change)) }
        self = next
        return scope
    }
}
