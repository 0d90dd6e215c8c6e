import Foundation
import NIOCore

/// Finds out whether a port can be listened on before anything is started, so that the reason is one sentence that
/// names the port and the option.
enum ListeningCheck {
    /// Tries the port and lets go of it again; port 0 is always free.
    static func demand(address: String, port: Int, option: String) throws {
        guard port != 0 else { return }
        let place: SocketAddress
        do {
            place = try SocketAddress(ipAddress: address, port: port)
        } catch {
            throw ServerProblem("'\(address)' is no address of this machine: give --address an IPv4 or IPv6 address")
        }
        let descriptor = socket(place.protocol == .inet6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        // Without the address family there is nothing to try; the listener itself says so then.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var yes: Int32 = 1
        // As the listener does: a connection that still lingers from an earlier run is no obstacle.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let outcome = place.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        guard outcome != 0 else { return }
        switch errno {
        case EADDRINUSE:
            throw ServerProblem(
                "port \(port) is in use by another program ('ss -ltnp' shows which); stop that, or choose another with "
                    + option)
        case EACCES:
            throw ServerProblem("this user may not listen on port \(port); choose one above 1023 with \(option)")
        case EADDRNOTAVAIL:
            throw ServerProblem("this machine does not have the address \(address); choose another with --address")
        default: throw DurableFile.failure("listen on port \(port) of", address)
        }
    }
}
