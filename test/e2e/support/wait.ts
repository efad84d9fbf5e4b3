// Waiting on conditions: the only way in which these tests wait. A look that throws counts as not yet, and what it threw
// is in the message when the deadline passes.

/** How often conditions are looked at; they are cheap reads of a Unix socket. */
const POLL_MS = 25

/** Until the next look at a condition. */
export const sleepUntilNextLook = (): Promise<void> => new Promise((done) => setTimeout(done, POLL_MS))

type Seen<T> = T | null | undefined | false

/** Waits until `look` gives a value. @throws with what was last seen when the deadline passes. */
export const until = async <T>(
  what: string,
  look: () => Promise<Seen<T>> | Seen<T>,
  timeoutMs = 30_000,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await look()
      if (value !== null && value !== undefined && value !== false) return value
      last = value
    } catch (thrown) {
      if (thrown instanceof Hopeless) throw thrown
      last = thrown
    }
    if (performance.now() > deadline) {
      throw new Error(
        `not in ${timeoutMs} ms: ${what} (last: ${last instanceof Error ? last.message : String(last)})`,
      )
    }
    await sleepUntilNextLook()
  }
}

/** Thrown by a look when waiting on makes no sense. */
export class Hopeless extends Error {}

/**
 * Looks again and again for this long, and fails when a look throws: for what must stay as it is. The time is part of the
 * claim (longer than the delay after which the thing would have happened), not a guess at how long something takes.
 */
export const throughout = async (durationMs: number, look: () => Promise<void> | void): Promise<void> => {
  const endMs = performance.now() + durationMs
  while (performance.now() < endMs) {
    await look()
    await sleepUntilNextLook()
  }
}
