// What the mutation gate and its workers say to each other.

/** One run, as `npm run sim` would be told it. */
export interface GateAsk {
  readonly run: readonly string[]
}

export interface GateReply {
  /** Each begins with its invariant. */
  readonly violations: readonly string[]
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

export const isGateAsk = (value: unknown): value is GateAsk => isObject(value) && 'run' in value

export const isGateReply = (value: unknown): value is GateReply => isObject(value) && 'violations' in value
