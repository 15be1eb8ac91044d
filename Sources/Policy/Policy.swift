// # Policy
//
// Who may reach what, and why not: the account's whole configuration as one value
// (``Directory``), changes of it as values (``Change``), checked before they are applied;
// decisions from an index that every change keeps up to date; explanations in words; the
// configuration file as a value (``Configuration``) with the plan that makes a directory match it.
//
// A decision is a pure function of directory, client, resource, context and time: the wall clock
// and the offsets of time zones come in. Nothing here stores, sends, or reads a file or a clock.
