// # Portal
//
// The role that decides who may reach what: it keeps the account's configuration, answers clients
// and gateways over WebSocket, and people over HTTP (web admin, API, the local socket). Every
// decision is taken from memory by `Policy`; the store only makes changes outlive the process.
// Carries no packets of tunnels and resolves no names.
