// What the swarm and its workers say to each other.

/** One run, as `npm run sim` would be told it. */
export interface SwarmAsk {
  readonly run: readonly string[]
}

export interface SwarmReply {
  /** What there is to print; null: all was well. */
  readonly failure: string | null
  readonly simulatedMs: number
  /** Of the first run alone; shrinking is not counted. */
  readonly cpuMs: number
  readonly performed: Readonly<Record<string, number>>
  readonly checks: Readonly<Record<string, number>>
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

export const isSwarmAsk = (value: unknown): value is SwarmAsk => isObject(value) && 'run' in value

export const isSwarmReply = (value: unknown): value is SwarmReply => isObject(value) && 'failure' in value
