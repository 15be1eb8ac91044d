// # WireGuard
//
// The protocol of the WireGuard paper (Donenfeld, NDSS 2017; the section numbers in this module are
// the paper's), on the wire exactly: Noise_IKpsk2 handshakes, transport packets with a replay
// window, cookies under load, and the timers. A `Tunnel` is one peer: it holds the sessions, says
// when a handshake or a keepalive is due, and seals and opens packets in the caller's buffers.
//
// It knows no address and no socket: what arrives is handed to it, what it makes is sent by the
// caller, to wherever the caller thinks the peer is. It does not say which peer a datagram is for:
// the caller deals the receiver indices and finds the tunnel by them.
