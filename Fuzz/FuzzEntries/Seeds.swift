enum ClientSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum ControlSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum DNSSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum GatewaySeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum IPSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum PeeringSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum PolicySeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
enum WireGuardSeeds { static let all: [(name: String, bytes: [UInt8])] = [] }
