// # DNS
//
// Names, messages and name patterns of the Domain Name System: wire form in and out (RFC 1035,
// 3597, 6891, 8914), and an index that finds the patterns that a name matches. Keeps no state about
// servers, asks nobody and knows nothing of Culvert: what to answer is the business of the roles.
