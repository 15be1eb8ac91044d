// # Bytes
//
// Bounds-checked reading and writing of bytes, and the two containers that packets travel in:
// ``Batch`` (what one read brought, lent to a core) and ``Outbox`` (what a core sends in one turn).
// Knows no protocol, no clock and no system call. One of the four modules that may spell `unsafe`.
