// # Daemon
