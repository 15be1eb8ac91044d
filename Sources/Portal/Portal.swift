// # Portal
