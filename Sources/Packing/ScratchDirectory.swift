internal import Foundation

/// A directory for intermediate files; whoever makes it removes it in a `defer`.
struct ScratchDirectory {
    let path: String

    /// Makes a directory beside `output`, so that what is finished can be renamed into place.
    init(beside output: String) throws(PackingError) {
        let template = output + ".part-XXXXXX"
        var name = template.utf8CString.map { $0 }
        guard mkdtemp(&name) != nil else { throw .system("cannot make a directory beside '\(output)'") }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes it with all that is in it.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
