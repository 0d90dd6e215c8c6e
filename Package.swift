// swift-tools-version: 6.2
import PackageDescription

// Every module is one row: name, what it may import, and the C libraries or packages that it alone wraps.
// `docs/architecture.md` says what each is for. `APUS_ONLY=Decisions,Slots swift test --scratch-path .build-only`
// builds just those modules, what they need and their tests: the quick loop while working on one of them.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

struct Row {
    enum Kind { case module, program, tests, shim, system(pkgConfig: String?, apt: [String]) }
    var name: String
    var kind: Kind
    var needs: [String]
    var products: [Target.Dependency] = []
    var linked: [String] = []
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let hummingbirdTesting = Target.Dependency.product(name: "HummingbirdTesting", package: "hummingbird")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioFileSystem = Target.Dependency.product(name: "_NIOFileSystem", package: "swift-nio")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let rows: [Row] = [
    // C libraries, each imported by exactly one module.
    Row(name: "COpenSSL", kind: .system(pkgConfig: "libcrypto", apt: ["libssl-dev"]), needs: []),
    Row(name: "CCurl", kind: .system(pkgConfig: "libcurl", apt: ["libcurl4-openssl-dev"]), needs: []),
    Row(name: "CEFI", kind: .system(pkgConfig: "efiboot", apt: ["libefivar-dev", "libefiboot-dev"]), needs: []),
    Row(name: "CFdisk", kind: .system(pkgConfig: "fdisk", apt: ["libfdisk-dev"]), needs: []),
    Row(name: "CKmod", kind: .system(pkgConfig: "libkmod", apt: ["libkmod-dev"]), needs: []),
    Row(name: "CArchive", kind: .system(pkgConfig: "libarchive", apt: ["libarchive-dev"]), needs: []),
    Row(name: "CZstd", kind: .system(pkgConfig: "libzstd", apt: ["libzstd-dev"]), needs: []),
    Row(name: "CLinux", kind: .shim, needs: []),
    Row(name: "CAttack", kind: .shim, needs: []),

    // Shared by node and server.
    Row(name: "Contract", kind: .module, needs: []),
    Row(name: "Cryptography", kind: .module, needs: ["COpenSSL"]),
    Row(name: "Release", kind: .module, needs: ["Contract", "Cryptography"]),
    Row(name: "Decisions", kind: .module, needs: ["Contract", "Release"]),
    Row(name: "Workloads", kind: .module, needs: ["Contract"]),
    Row(name: "Access", kind: .module, needs: ["Contract", "Cryptography"]),
    Row(name: "Ports", kind: .module, needs: ["Contract"]),

    // The node.
    Row(name: "Linux", kind: .module, needs: ["Contract", "CLinux", "CKmod"]),
    Row(name: "Fetch", kind: .module, needs: ["CCurl", "Contract", "Linux"]),
    Row(name: "Firmware", kind: .module, needs: ["CEFI", "Linux", "Decisions"]),
    Row(name: "Partitions", kind: .module, needs: ["CFdisk", "Linux", "Decisions"]),
    Row(
        name: "Slots", kind: .module,
        needs: ["CZstd", "Contract", "Release", "Decisions", "Fetch", "Linux", "Cryptography"]),
    Row(
        name: "Images", kind: .module,
        needs: ["CArchive", "Contract", "Cryptography", "Fetch", "Linux", "Release"]),
    Row(
        name: "Sandbox", kind: .module,
        needs: ["Contract", "Workloads", "Images", "Linux", "Fetch", "Cryptography", "Release"]),
    Row(name: "Sequences", kind: .module, needs: ["Contract", "Decisions", "Release"]),
    Row(
        name: "Node", kind: .module,
        needs: [
            "Contract", "Sequences", "Decisions", "Release", "Slots", "Fetch", "Firmware", "Partitions", "Linux",
            "Cryptography",
        ]),
    Row(
        name: "Agent", kind: .module,
        needs: [
            "Contract", "Node", "Sequences", "Decisions", "Release", "Slots", "Fetch", "Firmware", "Linux", "Sandbox",
            "Workloads",
        ]),
    Row(
        name: "Simulation", kind: .module,
        needs: ["Sequences", "Decisions", "Release", "Slots", "Linux", "Cryptography"]),

    // The builder's and operator's side.
    Row(name: "Packing", kind: .module, needs: ["CZstd", "Release", "Cryptography", "Linux", "Slots"]),
    Row(name: "Operator", kind: .module, needs: ["Contract", "Fetch", "Workloads"]),
    Row(name: "Manuscripts", kind: .module, needs: ["Contract", "Workloads"], products: [yams]),
    Row(name: "Lab", kind: .module, needs: ["Contract", "Release", "Operator", "Workloads"]),

    // The server.
    Row(name: "Store", kind: .module, needs: ["Contract", "Workloads"], products: [grdb]),
    Row(
        name: "ControlPlane", kind: .module,
        needs: ["Access", "Contract", "Decisions", "Release", "Store", "Cryptography", "Workloads"],
        products: [hummingbird, hummingbirdTLS, logging, lifecycle, nioSSL, nioCore, nioFileSystem]),

    // Programs: composition only.
    Row(name: "apus-init", kind: .program, needs: ["Node", "Sequences", "Linux"]),
    Row(name: "apus-agent", kind: .program, needs: ["Agent"]),
    Row(
        name: "apusd", kind: .program,
        needs: ["ControlPlane", "Store", "Contract", "Workloads", "Images", "Fetch"],
        products: [argumentParser, logging]),
    Row(
        name: "apus", kind: .program,
        needs: [
            "Access", "Contract", "Release", "Packing", "Fetch", "Operator", "Manuscripts", "Workloads", "Lab",
            "Cryptography",
        ],
        products: [argumentParser]),
    // What the lab's containers try. It is in the lab's image alone, never in the OS.
    Row(name: "apus-attack", kind: .program, needs: ["CAttack"]),

    // Scratch folders, programs, seeded generators: for every test target, and never for a program.
    Row(name: "TestSupport", kind: .tests, needs: []),
]

/// Which modules have a test target, and what else those tests use.
let tested: [(name: String, needs: [String], products: [Target.Dependency])] = [
    ("Contract", [], []),
    ("Cryptography", [], []),
    ("Release", ["Cryptography", "Contract"], []),
    ("Decisions", ["Contract", "Release"], []),
    ("Workloads", ["Contract"], []),
    ("Access", ["Contract", "Cryptography"], []),
    ("Ports", ["Contract"], []),
    ("Linux", ["CLinux", "Contract"], []),
    ("Fetch", ["Contract", "Cryptography", "Linux"], []),
    ("Firmware", ["Decisions", "Linux"], []),
    ("Partitions", ["Contract", "Decisions", "Linux"], []),
    ("Slots", ["CZstd", "Contract", "Release", "Decisions", "Linux", "Packing", "Cryptography", "Fetch"], []),
    ("Images", ["Contract", "Cryptography", "Fetch", "Linux", "Release"], []),
    (
        "Sandbox", ["Contract", "Workloads", "Images", "Linux", "Fetch", "Cryptography", "Lab", "apus-attack"], []
    ),
    ("Sequences", ["Contract", "Decisions"], []),
    (
        "Node",
        ["Contract", "Decisions", "Sequences", "Linux", "Fetch", "Cryptography", "Release", "Firmware", "Slots"], []
    ),
    ("Agent", ["Contract", "Decisions", "Linux", "Node"], []),
    (
        "Simulation", ["Decisions", "Release", "Slots", "Sequences", "Linux", "Packing", "Partitions", "Cryptography"],
        []
    ),
    ("Packing", ["Release", "Cryptography", "Linux"], []),
    ("Manuscripts", ["Contract", "Workloads"], []),
    ("Lab", ["Contract", "Workloads"], []),
    ("Store", ["Contract", "Workloads"], []),
    (
        "ControlPlane", ["Access", "Contract", "Store", "Release", "Cryptography", "Workloads"],
        [hummingbird, hummingbirdTesting]
    ),
    ("apusd", ["ControlPlane", "Contract", "Workloads", "Cryptography"], []),
    // These run both programs as processes.
    ("apus", ["apusd", "Access", "Contract", "Cryptography", "Fetch", "Release", "Workloads"], []),
]

/// The closure of the rows that `APUS_ONLY` names, or all rows.
let wanted: Set<String> = {
    guard let only = Context.environment["APUS_ONLY"] else { return Set(rows.map(\.name)) }
    var found: Set<String> = []
    var open = only.split(separator: ",").map(String.init)
    let named = Set(open)
    open.append("TestSupport")
    open += tested.filter { named.contains($0.name) }.flatMap(\.needs)
    while let name = open.popLast() {
        guard found.insert(name).inserted, let row = rows.first(where: { $0.name == name }) else { continue }
        open += row.needs
    }
    return found
}()
let testedNow: Set<String> =
    Context.environment["APUS_ONLY"].map { Set($0.split(separator: ",").map(String.init)) } ?? Set(tested.map(\.name))

let targets: [Target] =
    rows.filter { wanted.contains($0.name) }.map { row in
        let dependencies = row.needs.map { Target.Dependency.byName(name: $0) } + row.products
        switch row.kind {
        case .system(let pkgConfig, let apt):
            return .systemLibrary(name: row.name, pkgConfig: pkgConfig, providers: [.apt(apt)])
        case .shim:
            return .target(name: row.name, dependencies: dependencies)
        case .module:
            return .target(name: row.name, dependencies: dependencies, swiftSettings: strict)
        case .tests:
            return .target(
                name: row.name, dependencies: dependencies, path: "Tests/\(row.name)", swiftSettings: strict)
        case .program:
            return .executableTarget(name: row.name, dependencies: dependencies, swiftSettings: strict)
        }
    }
    + tested.filter { testedNow.contains($0.name) }.map { test in
        .testTarget(
            name: test.name + "Tests",
            dependencies: ([test.name, "TestSupport"] + test.needs).map { .byName(name: $0) } + test.products,
            swiftSettings: strict)
    }

let packages: [(users: Set<String>, dependency: Package.Dependency)] = [
    (["apus", "apusd"], .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")),
    (["Manuscripts"], .package(url: "https://github.com/jpsim/Yams", from: "6.2.2")),
    (["Store"], .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0")),
    (["ControlPlane"], .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.10.0")),
    (["ControlPlane", "apusd"], .package(url: "https://github.com/apple/swift-log", from: "1.6.0")),
    (["ControlPlane"], .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0")),
    (["ControlPlane"], .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.29.0")),
    (["ControlPlane"], .package(url: "https://github.com/apple/swift-nio", from: "2.80.0")),
]

let package = Package(
    name: "apus",
    products: rows.filter { wanted.contains($0.name) }.compactMap { row in
        if case .program = row.kind { .executable(name: row.name, targets: [row.name]) } else { nil }
    },
    dependencies: packages.filter { !$0.users.isDisjoint(with: wanted) }.map(\.dependency),
    targets: targets,
    swiftLanguageModes: [.v6]
)
