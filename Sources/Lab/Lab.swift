// # Lab
//
// Networks of real hosts on one machine: network namespaces joined by veth pairs and bridges, NAT
// routers made with nftables, stock servers, and the four roles as real processes. On them stand
// the demo, the end-to-end scenarios and the benchmarks. Touches nothing of the machine's own
// network; everything that it makes carries the lab's name and is removed at the end.
