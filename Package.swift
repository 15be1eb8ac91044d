// swift-tools-version: 6.3
import PackageDescription

/// `CULVERT_FUZZ=1` builds nothing but the pure modules, instrumented, and their fuzz targets.
let isFuzzing = Context.environment["CULVERT_FUZZ"] == "1"

/// Every target gets the same settings; a target may add, never remove.
let house: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .enableExperimentalFeature("Lifetimes"),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .treatAllWarnings(as: .error),
        .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    ] + (isFuzzing ? [.unsafeFlags(["-sanitize=fuzzer"])] : [])

typealias Dependencies = [Target.Dependency]

func module(_ name: String, _ on: Dependencies = [], path: String? = nil) -> Target {
    .target(name: name, dependencies: on, path: path, swiftSettings: house)
}
func executable(_ name: String, _ on: Dependencies, path: String? = nil) -> Target {
    .executableTarget(name: name, dependencies: on, path: path, swiftSettings: house)
}
func tests(
    _ name: String,
    _ on: Dependencies = [],
    path: String? = nil,
    exclude: [String] = []
) -> Target {
    .testTarget(
        name: name,
        dependencies: on,
        path: path,
        exclude: exclude,
        swiftSettings: house
    )
}
/// An executable of libFuzzer: `Fuzz/<name>Fuzz`.
func fuzzer(_ name: String) -> Target {
    .executableTarget(
        name: "\(name)Fuzz",
        dependencies: ["Bytes", "FuzzEntries", "FuzzDriver"],
        path: "Fuzz/\(name)Fuzz",
        exclude: ["Corpus"],
        swiftSettings: house + [.unsafeFlags(["-parse-as-library"])],
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]
    )
}
func git(_ path: String, _ version: Version) -> Package.Dependency {
    .package(url: "https://github.com/\(path)", from: version)
}
func products(_ names: [String], of package: String) -> Dependencies {
    names.map { .product(name: $0, package: package) }
}

// MARK: - Pure: no input, no output, no foreign package

let protocols: Dependencies = [
    "Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "STUN",
]
let roleParts: Dependencies = protocols + ["Peering", "Control", "RelayUse"]

let pure: [Target] = [
    module("Bytes"),
    module("SansIO", ["Bytes"]),
    .target(name: "CCrypto", linkerSettings: [.linkedLibrary("crypto")]),
    module("Ciphers", ["CCrypto", "Bytes", "SansIO"]),

    module("IP", ["Bytes", "SansIO"]),
    module("Translation", ["Bytes", "SansIO", "IP"]),
    module("DNS", ["Bytes", "SansIO", "IP"]),
    module("WireGuard", ["Bytes", "SansIO", "Ciphers"]),
    module("STUN", ["Bytes", "SansIO", "Ciphers", "IP"]),

    module("Peering", ["Bytes", "SansIO", "Ciphers", "IP", "WireGuard", "STUN"]),
    module("Control", ["Bytes", "SansIO", "IP"]),
    .systemLibrary(name: "CIDN2", pkgConfig: "libidn2", providers: [.apt(["libidn2-dev"])]),
    module("IDNA", ["CIDN2"]),
    module("RelayUse", ["Bytes", "SansIO", "IP", "STUN", "Peering", "Control"]),

    module("Policy", ["Bytes", "SansIO", "IP", "DNS", "Control", "IDNA"]),
    module("Client", roleParts),
    module("Gateway", roleParts + ["Translation"]),
    module("Relay", ["Bytes", "SansIO", "Ciphers", "IP", "STUN"]),

    module(
        "FuzzEntries",
        roleParts + ["Policy", "Client", "Gateway", "Relay", "Translation"],
        path: "Fuzz/FuzzEntries"
    ),
]

let fuzzers: [Target] =
    [module("FuzzDriver", ["Bytes", "FuzzEntries"], path: "Fuzz/FuzzDriver")]
    + [
        "Client", "Control", "DNS", "Gateway", "IP", "Peering", "Policy", "Relay", "STUN",
        "Translation", "WireGuard",
    ].map(fuzzer)

// MARK: - Edges

let nio = products(["NIOCore", "NIOPosix", "NIOHTTP1", "NIOWebSocket"], of: "swift-nio")
let http2 = products(["NIOHTTP2", "NIOHPACK"], of: "swift-nio-http2")
let service: Dependencies =
    products(["Logging"], of: "swift-log")
    + products(["NIOSSL"], of: "swift-nio-ssl")
    + products(["ServiceLifecycle", "UnixSignals"], of: "swift-service-lifecycle")
let certificates: Dependencies =
    products(["Crypto"], of: "swift-crypto") + products(["SwiftASN1"], of: "swift-asn1")
    + products(["X509"], of: "swift-certificates")
let web: Dependencies =
    products(["Hummingbird"], of: "hummingbird") + products(["HTTPTypes"], of: "swift-http-types")
let yaml = products(["Yams"], of: "Yams")
let database = products(["GRDB"], of: "GRDB.swift")
let templates = products(["Mustache"], of: "swift-mustache")

let edges: [Target] = [
    .target(name: "CLinux"),
    module("Linux", ["CLinux", "Bytes", "SansIO", "IP"]),
    module(
        "Daemon",
        ["Bytes", "SansIO", "IP", "DNS", "Control", "Linux"] + certificates + web + yaml + service
            + nio + http2
    ),
    module(
        "Portal",
        ["Bytes", "SansIO", "IP", "DNS", "Control", "Policy"] + certificates + web + yaml + service
            + nio + database + templates + products(["CryptoExtras"], of: "swift-crypto")
            + products(["HummingbirdCore", "HummingbirdTLS"], of: "hummingbird")
            + products(["NIOHTTPTypes", "NIOHTTPTypesHTTP1"], of: "swift-nio-extras")
    ),
    module("Lab"),
    executable(
        "culvert",
        roleParts
            + ["IDNA", "Policy", "Client", "Gateway", "Relay", "Translation", "Linux", "Daemon"]
            + ["Portal", "Lab"] + service + nio
            + products(["ArgumentParser"], of: "swift-argument-parser")
    ),
]

// MARK: - Proof

let simulation: [Target] = [
    module(
        "SimulatedWorld",
        roleParts + ["Policy", "Client", "Gateway", "Relay", "Translation"],
        path: "Tests/Simulation/World"
    ),
    executable("culvert-simulate", ["SansIO", "SimulatedWorld"], path: "Tests/Simulation/Command"),
    tests("Simulation", roleParts + ["Relay", "SimulatedWorld"], path: "Tests/Simulation/Suite"),
]

let unitTests: [Target] = [
    tests("BytesTests", ["Bytes"]),
    tests("SansIOTests", ["SansIO"]),
    tests("CiphersTests", ["Bytes", "Ciphers"]),
    tests("IPTests", ["Bytes", "SansIO", "IP"]),
    tests("TranslationTests", ["Bytes", "SansIO", "IP", "Translation"]),
    tests("DNSTests", ["Bytes", "SansIO", "IP", "DNS"]),
    tests("IDNATests", ["IDNA"]),
    tests("WireGuardTests", ["Bytes", "SansIO", "Ciphers", "WireGuard"]),
    tests("STUNTests", ["Bytes", "SansIO", "Ciphers", "IP", "STUN"]),
    tests("RelayTests", ["Bytes", "SansIO", "Ciphers", "IP", "STUN", "Relay"]),
    tests("PeeringTests", protocols + ["Peering"]),
    tests("ControlTests", ["Bytes", "SansIO", "IP", "Control"], exclude: ["Samples"]),
    tests("PolicyTests", ["Bytes", "SansIO", "IP", "DNS", "Control", "Policy"]),
    tests("RelayUseTests", roleParts),
    tests("ClientTests", roleParts + ["Client"]),
    tests("GatewayTests", roleParts + ["Gateway", "Translation"]),
    tests("LinuxTests", ["CLinux", "Bytes", "SansIO", "IP", "Linux"]),
    tests(
        "DaemonTests",
        ["Bytes", "SansIO", "IP", "DNS", "Control", "Daemon"] + certificates + service + nio
            + http2 + products(["NIOEmbedded"], of: "swift-nio")
    ),
    executable("PortalCrash", ["Portal", "Control"] + service + nio, path: "Tests/PortalCrash"),
    tests(
        "PortalTests",
        ["PortalCrash", "Portal", "Bytes", "IP", "Control", "Policy"] + certificates + service + nio
            + database + templates + products(["NIOEmbedded"], of: "swift-nio")
    ),
    tests("FuzzTests", ["Bytes", "FuzzEntries"]),
    tests("TidyTests"),
    tests("EndToEnd", ["Lab"]),
]

let package = Package(
    name: "culvert",
    products: [],
    dependencies: isFuzzing
        ? []
        : [
            git("apple/swift-argument-parser", "1.8.2"),
            git("apple/swift-asn1", "1.7.4"),
            git("apple/swift-certificates", "1.21.1"),
            git("apple/swift-crypto", "4.5.2"),
            git("apple/swift-http-types", "1.8.0"),
            git("apple/swift-log", "1.16.2"),
            git("apple/swift-nio", "2.101.2"),
            git("apple/swift-nio-extras", "1.35.2"),
            git("apple/swift-nio-http2", "1.46.0"),
            git("apple/swift-nio-ssl", "2.37.6"),
            git("groue/GRDB.swift", "7.10.0"),
            git("hummingbird-project/hummingbird", "2.28.1"),
            git("hummingbird-project/swift-mustache", "2.1.1"),
            git("jpsim/Yams", "6.2.2"),
            git("swift-server/swift-service-lifecycle", "2.13.0"),
        ],
    targets: pure + (isFuzzing ? fuzzers : edges + simulation + unitTests)
)
