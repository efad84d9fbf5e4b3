// A bounded number of things at a time. Decides nothing else.

/** Does something for each item, so many at a time. The first failure ends it. */
export const atOnce = async <T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> => {
  const rest = items.values()
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (const item of rest) await work(item)
    }),
  )
}
