// # SansIO
//
// What every machine without input and output is made of: time and randomness as values, the
// contract of a machine, its output queue and its table of timers. Reads no clock and no kernel.
