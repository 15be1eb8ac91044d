// # RelayUse
//
// How a role uses the relays that the portal deals: which list it has, which streams its host makes
// to them, what the portal is told of their times; and the words of `Control` as those of `Peering`
// and `STUN`, and back.
//
// Knows no socket and no allocation: lent addresses are the pool's, streams are the host's.
