// # Peering
//
// Connections to peers: candidates and paths, probes, control frames and one WireGuard tunnel for
// each peer, kept together by ``PeerPool``. A client's pool begins every connection, measures the
// paths and names the one to use; a gateway's pool answers, follows, and helps to find a direct
// way. Both hold a few relays' lent addresses, for the peers that nothing else reaches and for the
// day when a path dies; what a relay carries is dispatched here. What is not urgent is done
// together, so that an idle connection wakes its host about once in 24 s.
//
// Knows what a control frame says, not what it means for names and grants: that is `Client` and
// `Gateway`. Knows no socket and no clock: datagrams come in by `receive`, leave by an outbox, and
// every call carries the time.
