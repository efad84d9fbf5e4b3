// One real peer and the instances of one service on it, as the supervision bench needs them: started by an edit or by the
// command line, counted by the roll, stopped to the last process.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyOf, Fleet, service, until, type Peer } from '../../test/e2e/support/fleet.ts'
import type { Roll } from './roll.ts'

const SETTLE_TIMEOUT_MS = 60_000
/** prom-client samples the loop this often and records the whole interval, so an idle loop shows this much. */
export const LAG_RESOLUTION_MS = 10

export class Crew {
  readonly peer: Peer
  readonly #fleet: Fleet
  readonly #roll: Roll

  private constructor(fleet: Fleet, peer: Peer, roll: Roll) {
    this.#fleet = fleet
    this.peer = peer
    this.#roll = roll
  }

  static async create(fleet: Fleet, roll: Roll): Promise<Crew> {
    const [peer] = await fleet.grow(1)
    if (peer === undefined) throw new Error('no peer')
    return new Crew(fleet, peer, roll)
  }

  /** Milliseconds from the acknowledged edit until all run. */
  async startByEdit(count: number): Promise<number> {
    this.#roll.clear()
    await this.peer.change(
      applyOf(
        service('web', [this.#roll.program], {
          replicas: count,
          stopGraceMs: 5000,
          restart: { condition: 'any', delayMs: 0, delayMaxMs: 0, attemptsMax: null, windowMs: 0 },
        }),
      ),
    )
    const from = performance.now()
    return (await this.#roll.until(count)) - from
  }

  /** Milliseconds from the command until all run. */
  async startByCommand(count: number): Promise<number> {
    const file = join(this.#fleet.directory, 'cell.yaml')
    writeFileSync(
      file,
      `name: e2e
services:
  web:
    command: [${this.#roll.program}]
    stop_grace_period: 5s
    deploy: { replicas: ${count}, restart_policy: { delay: 0s, max_delay: 0s } }
`,
    )
    this.#roll.clear()
    const from = performance.now()
    const command = this.peer.cli('apply', '-f', file, '--yes', '--no-wait')
    const atMs = await this.#roll.until(count)
    const { code, stderr } = await command
    if (code !== 0) throw new Error(`apply ended with ${code}: ${stderr}`)
    return atMs - from
  }

  /** Waits until the peer says that it has nothing left to do. */
  async settled(): Promise<void> {
    await until('settled', async () => (await this.peer.status()).settled, SETTLE_TIMEOUT_MS)
  }

  /** Milliseconds from the acknowledged edit until the last process is gone. */
  async stop(): Promise<number> {
    await this.peer.change({ kind: 'scale', service: 'e2e/web', replicas: 0 })
    const from = performance.now()
    const gone = async (): Promise<boolean> => (await this.peer.instances()).instances.length === 0
    await until('all stopped', gone, SETTLE_TIMEOUT_MS)
    return performance.now() - from
  }

  /** Of the peer's event loop since it was last asked, milliseconds above the interval of sampling. */
  async lagMs(): Promise<{ readonly p99: number; readonly max: number }> {
    const text = await this.peer.get<string>('/metrics')
    const of = (name: string): number =>
      Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)`, 'm').exec(text)?.[1]) * 1000 -
      LAG_RESOLUTION_MS
    return { p99: of('p99'), max: of('max') }
  }
}
