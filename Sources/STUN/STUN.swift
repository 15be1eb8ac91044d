// # STUN
//
// Session Traversal Utilities for NAT (RFC 8489) and its use for relays, TURN (RFC 8656): messages
// as checked views and writers, channel data, credentials, and `TURNClient`, the machine that keeps
// one allocation on one relay alive.
//
// It knows no socket and no clock, and nothing of what is relayed.
