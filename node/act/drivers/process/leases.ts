// Leases of runs on the disk: the file that the watchdog of a run looks at, and the words that start a watchdog. The
// program sees the same file as TUTTI_FENCE_FILE. Replaced as a whole by a rename, never synced: what a power loss takes
// away, it takes together with the run.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { InstanceId } from '../../../../lib/ids.ts'
import type { Clock } from '../../../../lib/time.ts'
import { HOLD_MS, type HeldLease } from '../../../plan/lease/terms.ts'
import type { InstanceRecord } from '../../../ports.ts'
import type { Confined } from './confinement.ts'
import { quoted, RUN_FILES, type LaunchPlan } from './launch.ts'

const WATCHDOG = fileURLToPath(new URL('watchdog.sh', import.meta.url))

/** Hundredths of a second since boot, as the watchdog reads them. */
const uptimeHundredths = (): number =>
  Math.floor(Number((readFileSync('/proc/uptime', 'latin1').split(' ')[0] ?? '').replace('.', '')))

/** Of both clocks: less is no sleep. */
const GRAIN_MS = 20

/**
 * How long the machine was suspended: the peer's monotonic clock stands still then, the voters' clocks do not, and neither
 * does the uptime. A lease that was asked for before and granted or written after is shorter by that.
 */
class Sleeps {
  #aheadMs: number | null = null
  #noticed: readonly { readonly atMs: number; readonly lastedMs: number }[] = []

  /** Milliseconds slept since a lease that ends then was asked for, or possibly since. */
  since(untilMs: number, uptimeMs: number, nowMs: number): number {
    const aheadMs = uptimeMs - nowMs
    const lastedMs = aheadMs - (this.#aheadMs ?? aheadMs)
    this.#aheadMs = aheadMs
    const fresh = this.#noticed.filter(({ atMs }) => atMs >= nowMs - HOLD_MS)
    this.#noticed = lastedMs > GRAIN_MS ? [...fresh, { atMs: nowMs, lastedMs }] : fresh
    return this.#noticed.reduce(
      (sum, sleep) => (sleep.atMs >= untilMs - HOLD_MS ? sum + sleep.lastedMs : sum),
      0,
    )
  }
}

interface Leased {
  readonly folder: string
  /** Null: as an earlier peer left it. */
  lease: HeldLease | null
}

export class RunLeases {
  readonly #clock: Clock
  readonly #uptimeHundredths: () => number
  readonly #sleeps = new Sleeps()
  readonly #runs = new Map<InstanceId, Leased>()

  /** `uptime`: hundredths of a second since boot, sleep included. @default the kernel's */
  constructor(clock: Clock, uptime: () => number = uptimeHundredths) {
    this.#clock = clock
    this.#uptimeHundredths = uptime
  }

  /** A run begins under a lease, or is found again with one that an earlier peer wrote. */
  begin(instance: InstanceId, folder: string, lease: HeldLease | null): void {
    this.#runs.set(instance, { folder, lease })
  }

  /** Writes the lease of a run whose directory is there now. @throws as the disk does. */
  write(instance: InstanceId): void {
    const run = this.#runs.get(instance)
    if (run?.lease === undefined || run.lease === null) return
    const { folder, lease } = run
    // The uptime first: what passes in between shortens the lease and does not lengthen it.
    const now = this.#uptimeHundredths()
    const nowMs = this.#clock.now()
    const leftMs = lease.untilMs - nowMs - this.#sleeps.since(lease.untilMs, now * 10, nowMs)
    const path = join(folder, RUN_FILES.lease)
    writeFileSync(`${path}.next`, `${lease.token} ${now + Math.floor(leftMs / 10)}\n`, { mode: 0o644 })
    renameSync(`${path}.next`, path)
  }

  /** A renewal. Nothing for a run without a lease, or one whose watchdog has decided. @throws as the disk does. */
  extend(instance: InstanceId, lease: HeldLease): void {
    const run = this.#runs.get(instance)
    if (run === undefined || (run.lease !== null && run.lease.untilMs >= lease.untilMs)) return
    run.lease = lease
    if (existsSync(join(run.folder, RUN_FILES.lease)) && !existsSync(join(run.folder, RUN_FILES.over)))
      this.write(instance)
  }

  /** Nothing of the run is left: its watchdog may go. */
  end(instance: InstanceId): void {
    const run = this.#runs.get(instance)
    this.#runs.delete(instance)
    if (run !== undefined) rmSync(join(run.folder, RUN_FILES.lease), { force: true })
  }
}

/** Words of the launch script that start the watchdog, before anything of the program exists. */
export const watchdogLine = (shell: string, folder: string, nonce: string, group: string | null): string =>
  [
    // Without the FIFO's end, which must close with the run.
    `setsid -f ${quoted(shell)} ${quoted(WATCHDOG)} ${quoted(folder)} ${quoted(nonce)} ${quoted(group ?? '')}`,
    `9>&- </dev/null >/dev/null 2>&1 || exit 125`,
  ].join(' ')

/**
 * What the program's own process does last before it becomes the program: nothing, once its lease is over or its watchdog
 * has decided. It looks at the clock itself, since a launch that was late may come before its watchdog's first look; in a
 * subshell, since the program's own variables may have any name.
 */
export const unlessOver = (prelude: string, folder: string): string => {
  const lease = quoted(join(folder, RUN_FILES.lease))
  const over = quoted(join(folder, RUN_FILES.over))
  const inTime = `read -r A E <${lease} && read -r U I </proc/uptime && [ "\${U%.*}\${U#*.}" -lt "$E" ]`
  return `${prelude === '' ? '' : `${prelude} && `}(${inTime} && [ ! -e ${over} ])`
}

/** A launch that begins under a lease: with a watchdog, and not once the lease is over. */
export const underLease = <Launch extends Omit<LaunchPlan, 'stdout' | 'stderr'>>(
  launch: Launch,
  { groups, isSandboxed }: Confined,
  { nonce, definition }: InstanceRecord,
): Launch => {
  const { shell, runDirectory: folder, environment, prelude } = launch
  // Neither a sandbox nor another user sees the driver's own directories.
  const isHidden = isSandboxed || definition.user !== null
  return {
    ...launch,
    environment: {
      ...environment,
      ...(isHidden ? {} : { TUTTI_FENCE_FILE: join(folder, RUN_FILES.lease) }),
    },
    watchdog: watchdogLine(shell, folder, nonce, groups.tracking),
    prelude: unlessOver(prelude, folder),
  }
}
