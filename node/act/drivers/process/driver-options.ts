// What the process driver is built from: interfaces only.

import type { InstanceId, PackageDigest } from '../../../../lib/ids.ts'
import type { Log } from '../../../../lib/log.ts'
import type { Clock } from '../../../../lib/time.ts'
import type { CgroupLayout } from './cgroups/layout.ts'
import type { Launcher } from './spawner.ts'

/** Where output goes; output/output.ts is it. */
export interface OutputSink {
  /** Where an instance's files are; it is to be there before the first `begin` of a run. Absolute. */
  folderOf(instance: InstanceId): string
  /** The files that an instance's output is appended to. Called again, as running, once the launch has opened them. */
  begin(
    instance: InstanceId,
    process: { readonly isRunning: boolean },
  ): { readonly stdout: string; readonly stderr: string }
  /** The instance's processes are gone: nothing more comes until it begins again. */
  end(instance: InstanceId): void
}

/** What the driver is built from. */
export interface ProcessDriverOptions {
  /** Absolute; the driver's own. Records, run directories and working directories are in it. */
  readonly folder: string
  /** For messages. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Log
  readonly output: OutputSink
  readonly launcher: Launcher
  /** Where a package lies, unpacked. @default nowhere: nothing runs from a package */
  readonly packageDirectory?: (digest: PackageDigest) => string
  /** Where control groups are. @default this machine's, as this process sees it */
  readonly cgroups?: CgroupLayout | undefined
}
