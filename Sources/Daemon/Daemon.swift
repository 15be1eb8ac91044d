// # Daemon
//
// What all daemons share, whatever their role: the control channel to the portal and the dialer
// under it, the state folder, settings, logs, the local socket that commands speak to, and the
// questions by TCP that a core cannot ask itself. Knows no role.
