// # SimulatedWorld
//
// A client, gateways and relays, as the real cores that a host runs, and the real policy engine, in
// a world of one clock, one queue of events and one seed: links that lose, delay, double and
// reorder, NATs, nameservers, resource servers and a portal that are small models. A reference
// model says of every probe what must become of it. Knows no kernel, no real clock and no other
// source of chance, so a seed that fails fails always.
//
// `Network` is what lies between hosts, `Hosts` runs the cores, `Portal` decides, `Scene` draws a
// world from its seed and models it, `Traffic` are the programs that check, `Faults` what may
// happen, each with the bound after which it must not be felt, `Connectivity` the table of pairs.
