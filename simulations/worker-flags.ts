// Flags of Node.js for processes that play one run after another. V8 holds the optimised code of a function only while such a
// function lives, and one that is made for each call, as an array's method is given, mostly does not: each collection of the
// old generation drops the code of all of these, and it is compiled again. By itself V8 makes such a collection whenever another
// 64 MiB of arrays have come, every two or three seconds; with these flags arrays count as what they are, and some 250 MiB
// may gather, which halves what is compiled (docs/SIMULATIONS.md, Speed).

/** For `fork` and `spawn`, before the script. */
export const WORKER_FLAGS: readonly string[] = [
  '--external-memory-accounted-in-global-limit',
  // Five times of what was alive after the last collection, some 50 MiB in a run of ten peers.
  '--heap-growing-percent=400',
]
