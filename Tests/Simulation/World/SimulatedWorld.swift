// # SimulatedWorld
//
// A client and a gateway, as the real cores that a host runs, and the real policy engine, in a
// world of one clock, one queue of events and one seed: links that lose, delay, double and reorder,
// a NAT, nameservers, resource servers and a portal that are small models. A reference model says
// of every probe what must become of it. Knows no kernel, no real clock and no other source of
// chance, so a seed that fails fails always.
