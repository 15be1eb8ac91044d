// # Linux
//
// The edge towards this operating system: the packet loop that drives a ``SansIO/PacketMachine``,
// the tunnel device and the UDP sockets that it reads and writes, routes and rules by rtnetlink,
// tables of nftables, sysctls, resolv.conf, and the clocks and random bytes that cores are given.
// Knows no role: it is generic over the machine. Does no cryptography, speaks no protocol of ours,
// and uses neither Foundation nor NIO. Needs Linux 5.15.
