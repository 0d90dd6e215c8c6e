import Hummingbird

@testable import ControlPlane

extension ControlPlane.Server {
    /// All routes, as they are added when it starts.
    var routes: [RouteBook.Route] {
        let releases = ReleaseService(
            core: core, shelf: ReleaseShelf(directory: DataDirectory(at: dataDirectory)), threshold: 1)
        let listening = Listening(expectsBootPort: false) { _ in }
        return book(router: Router(context: CallContext.self), releases: releases, listening: listening).routes
    }
}
