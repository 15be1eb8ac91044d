// # Translation
//
// IPv4 packets as IPv6 and the reverse (RFC 7915; of RFC 6146 what concerns fragments, ICMP and
// checksums; RFC 4884). ``Translator`` writes the headers of a packet anew and leaves its payload
// where it is, translates ICMP errors whole, and says by ``TranslationError`` what becomes of a
// packet that cannot go on. ``Fragmenter`` cuts what is too large, ``Reassembly`` joins what must
// be seen whole.
//
// It knows no flows: whoever calls it says which addresses, ports and identifiers the packet gets.
// It reads no clock, and sends nothing.
