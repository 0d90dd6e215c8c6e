// Composition only.
@main
struct Main {
    static func main() {}
}
