import Contract
import Foundation
import NIOCore
import ServiceLifecycle

/// Errors as sentences for whoever starts the server.
public enum Problems {
    /// The sentence of an error: what failed, and what to do where that is known.
    public static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as IOError where error.errnoCode == 98:
            "the port is in use by another program; stop that, or choose others with --port and --boot-port"
        case let error as IOError where error.errnoCode == 13:
            "this user may not listen on that port; choose one above 1023 with --port and --boot-port"
        case let error as IOError where error.errnoCode == 99:
            "this machine does not have the address to listen on; choose another with --address"
        case let error as APIFailure: error.error.message
        case let error as CocoaError where error.code == .fileWriteOutOfSpace:
            "there is no room left on the disk; make some, then try again"
        case let error as CocoaError: error.localizedDescription
        default: "\(error)"
        }
    }
}
