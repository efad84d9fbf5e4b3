// How a package that is wanted stands, in words that change a few times in all, since each change is a new status. Pure.

import { formatSize } from '../../../lib/time.ts'
import type { PackageState } from '../../package/store.ts'
import type { Progress } from './fetch.ts'

/** Progress is told in such steps, per cent. */
const PROGRESS_STEP = 20

/** What is known of one. */
export interface PackageSight {
  /** For people: `package api@1.4.2`. */
  readonly name: string
  readonly isUnpacked: boolean
  readonly isHeld: boolean
  /** Why it could not be had lately. */
  readonly failure: string | null
  /** Null: no fetch is under way. */
  readonly progress: Progress | null
}

export const packageState = ({ name, isUnpacked, isHeld, failure, progress }: PackageSight): PackageState => {
  if (isUnpacked) return { kind: 'ready' }
  if (failure !== null) return { kind: 'failing', reason: `cannot fetch ${name}: ${failure}` }
  if (isHeld) return { kind: 'fetching', reason: `unpacks ${name}` }
  if (progress?.isAlone === true)
    return { kind: 'failing', reason: `cannot fetch ${name}: no member that is there has it` }
  const { bytes = 0, bytesLeft = 0 } = progress ?? {}
  if (bytes === 0) return { kind: 'fetching', reason: `fetches ${name}` }
  const percent = Math.floor((100 * (bytes - bytesLeft)) / bytes / PROGRESS_STEP) * PROGRESS_STEP
  return { kind: 'fetching', reason: `fetches ${name}: ${percent} % of ${formatSize(bytes)}` }
}

export const isSameState = (a: PackageState, b: PackageState): boolean =>
  a.kind === b.kind && (a.kind === 'ready' || b.kind === 'ready' || a.reason === b.reason)
