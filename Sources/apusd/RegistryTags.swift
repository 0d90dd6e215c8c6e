import Contract
import ControlPlane
import Dispatch
import Fetch
import Images
import Workloads

/// Asks registries what tags name, with the same client that nodes pull with.
struct RegistryTags: TagResolver {
    /// The client blocks its thread, so that it gets threads of its own, and few: whoever waits, waits here.
    private static let queue = DispatchQueue(label: "registry tags", attributes: .concurrent)
    private static let places = DispatchSemaphore(value: 4)
    /// All questions about one tag together, in seconds.
    private static let seconds = 60

    func digest(of image: WorkloadImage, account: RegistryAccount?) async throws(TagProblem) -> Digest256 {
        let outcome = await withCheckedContinuation { (waiting: CheckedContinuation<Outcome, Never>) in
            Self.queue.async {
                guard Self.places.wait(timeout: .now() + .seconds(Self.seconds)) == .success else {
                    return waiting.resume(
                        returning: .failure(TagProblem("too many tags are asked for at once", isTransient: true)))
                }
                defer { Self.places.signal() }
                waiting.resume(returning: Self.ask(image, account))
            }
        }
        return try outcome.get()
    }

    private typealias Outcome = Result<Digest256, TagProblem>

    private static func ask(_ image: WorkloadImage, _ account: RegistryAccount?) -> Outcome {
        let cancellation = Cancellation()
        let end = DispatchWorkItem { cancellation.cancel() }
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds), execute: end)
        defer { end.cancel() }
        do {
            let reference = try ImageReference(parsing: image.description)
            let client = RegistryClient(try book(for: image.registry, account))
            let found = try client.find(
                reference, limitBytes: ImageLimits.standard.manifestBytes, cancellation: cancellation)
            // What is no image would only fail later, on the nodes.
            _ = try ImageDocument(parsing: found.bytes, mediaType: found.mediaType, limits: .standard)
            return .success(found.digest)
        } catch let error as ImageError {
            guard !cancellation.isCancelled else {
                return .failure(TagProblem("'\(image.registry)' did not answer in time", isTransient: true))
            }
            return .failure(TagProblem(error.description, isTransient: error.isTransient))
        } catch {
            return .failure(TagProblem("\(error)", isTransient: true))
        }
    }

    /// The one registry, as operators say that it is reached; by the system's authorities where they do not.
    private static func book(for host: String, _ account: RegistryAccount?) throws -> RegistryBook {
        guard let account else { return RegistryBook(defaultCACertificates: try systemCertificates()) }
        let certificates = try account.caPEM ?? systemCertificates()
        let credentials = account.username.map {
            RegistryCredentials(
                user: $0, password: String(decoding: account.password?.bytes ?? [], as: UTF8.self))
        }
        let server = host == ImageReference.hub ? "registry-1.docker.io" : host
        let origin = RegistryEndpoint(
            address: "https://" + server, credentials: credentials, caCertificates: certificates)
        let mirrors = account.mirror.map { address in
            RegistryEndpoint(
                address: address, caCertificates: certificates, allowsPlainHTTP: address.hasPrefix("http://"))
        }
        return RegistryBook(registries: [host: RegistryAccess(origin: origin, mirrors: mirrors.map { [$0] } ?? [])])
    }

    private static func systemCertificates() throws -> String {
        do {
            return try RegistryBook.systemCACertificates()
        } catch {
            throw ImageError.registry(
                "this server has no list of authorities; install 'ca-certificates', or name the registry's with "
                    + "'apus registry set --ca'")
        }
    }
}
