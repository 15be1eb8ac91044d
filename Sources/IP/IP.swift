// # IP
//
// The Internet Protocol as values and views: addresses and prefixes, the one-pass header of the hot
// path (``PacketHeader``), views of IPv4, IPv6, TCP, UDP and ICMP with values that write them,
// checksums, rewriting in place (``MutablePacket``), answers that refuse a packet (``Refusal``),
// cutting large packets (``Segmenter``) and joining small ones (``Coalescer``), and longest-prefix
// match (``PrefixTable``).
//
// It routes nothing, keeps no flow, reassembles no fragment and knows nothing of tunnels.
