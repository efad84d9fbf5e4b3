// A violation is a sentence that begins with the invariant that it breaks, or with `crash`. Pure.

/** What a violation breaks: its text up to the colon. */
export const invariantOf = (violation: string): string => violation.slice(0, violation.indexOf(':'))
