// swift-tools-version: 6.3
import PackageDescription

/// Every target gets the same settings; a target may add, never remove.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableExperimentalFeature("Lifetimes"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

func module(_ name: String, _ on: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: on, swiftSettings: house)
}
func tests(_ name: String, _ on: [Target.Dependency] = []) -> Target {
    .testTarget(name: name, dependencies: on, swiftSettings: house)
}
func git(_ path: String, _ version: Version) -> Package.Dependency {
    .package(url: "https://github.com/\(path)", from: version)
}

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nio: [Target.Dependency] = ["NIOCore", "NIOPosix", "NIOHTTP1", "NIOWebSocket"].map {
    .product(name: $0, package: "swift-nio")
}
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle",
    package: "swift-service-lifecycle"
)

let package = Package(
    name: "culvert",
    products: [],
    dependencies: [
        git("apple/swift-argument-parser", "1.8.2"),
        git("apple/swift-asn1", "1.7.4"),
        git("apple/swift-certificates", "1.21.1"),
        git("apple/swift-crypto", "4.5.2"),
        git("apple/swift-http-types", "1.8.0"),
        git("apple/swift-log", "1.16.2"),
        git("apple/swift-nio", "2.101.2"),
        git("apple/swift-nio-extras", "1.35.2"),
        git("apple/swift-nio-ssl", "2.37.6"),
        git("groue/GRDB.swift", "7.10.0"),
        git("hummingbird-project/hummingbird", "2.28.1"),
        git("hummingbird-project/swift-mustache", "2.1.1"),
        git("jpsim/Yams", "6.2.2"),
        git("swift-server/swift-service-lifecycle", "2.13.0"),
    ],
    targets: [
        // Ground
        module("Bytes"),
        module("SansIO", ["Bytes"]),
        .target(name: "CCrypto", linkerSettings: [.linkedLibrary("crypto")]),
        module("Ciphers", ["CCrypto", "Bytes", "SansIO"]),

        // Protocols
        module("IP", ["Bytes", "SansIO"]),
        module("DNS", ["Bytes", "SansIO", "IP"]),
        module("WireGuard", ["Bytes", "SansIO", "Ciphers"]),

        // Shared between roles
        module("Peering", ["Bytes", "SansIO", "Ciphers", "IP", "WireGuard"]),
        module("Control", ["Bytes", "SansIO", "IP"]),

        // Roles
        module("Policy", ["Bytes", "SansIO", "IP", "DNS", "Control"]),
        module(
            "Client",
            ["Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control"]
        ),
        module(
            "Gateway",
            ["Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control"]
        ),

        // Edges
        .target(name: "CLinux"),
        module("Linux", ["CLinux", "Bytes", "SansIO", "IP"]),
        module(
            "Daemon",
            [
                "Bytes", "SansIO", "IP", "DNS", "Control", "Linux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "Yams", package: "Yams"),
                logging, nioSSL, lifecycle,
            ] + nio
        ),
        module(
            "Portal",
            [
                "Bytes", "SansIO", "IP", "DNS", "Control", "Policy",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "_CryptoExtras", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Mustache", package: "swift-mustache"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "Yams", package: "Yams"),
                logging, nioSSL, lifecycle,
            ] + nio
        ),
        module("Lab", []),
        .executableTarget(
            name: "culvert",
            dependencies: [
                "Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control",
                "Policy", "Client", "Gateway", "Linux", "Daemon", "Portal", "Lab",
                argumentParser, logging, lifecycle,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ] + nio,
            swiftSettings: house
        ),

        // Tests
        tests("BytesTests", ["Bytes"]),
        tests("SansIOTests", ["SansIO"]),
        tests("CiphersTests", ["Bytes", "Ciphers"]),
        tests("IPTests", ["Bytes", "SansIO", "IP"]),
        tests("DNSTests", ["Bytes", "SansIO", "IP", "DNS"]),
        tests("WireGuardTests", ["Bytes", "SansIO", "Ciphers", "WireGuard"]),
        tests(
            "PeeringTests",
            ["Bytes", "SansIO", "Ciphers", "IP", "WireGuard", "Peering"]
        ),
        tests("ControlTests", ["Bytes", "SansIO", "IP", "Control"]),
        tests("PolicyTests", ["Bytes", "SansIO", "IP", "DNS", "Control", "Policy"]),
        tests(
            "ClientTests",
            [
                "Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control",
                "Client",
            ]
        ),
        tests(
            "GatewayTests",
            [
                "Bytes", "SansIO", "Ciphers", "IP", "DNS", "WireGuard", "Peering", "Control",
                "Gateway",
            ]
        ),
        tests("LinuxTests", ["CLinux", "Bytes", "SansIO", "IP", "Linux"]),
        tests("TidyTests"),
        tests("EndToEnd", ["Lab"]),
    ]
)
