// The stage that scenarios are told on: a simulated cluster with words for what operators do and see. What must hold all
// the while is looked at ten times a simulated second, by the story's own watches and by every checker. It decides nothing.

import type { Edit } from '../../crdt/edit.ts'
import { applyCell } from '../../crdt/edits.ts'
import type { ServiceSpec } from '../../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../../crdt/schema/service-defaults.ts'
import type { View } from '../../crdt/schema/view.ts'
import { defined } from '../../lib/assert.ts'
import type { SlotId } from '../../lib/ids.ts'
import { formatDuration } from '../../lib/time.ts'
import type { Machine } from '../machine.ts'
import type { ScriptedProcess } from '../processes.ts'
import type { Referee } from '../referee.ts'
import type { Scene } from '../scene.ts'
import { CELL } from '../services.ts'
import { agentOf, type World } from '../world.ts'

/** Something that a story says must hold does not. */
export class StoryError extends Error {}

/** Between two looks: shorter than any change of an instance's state takes to matter. */
const LOOK_MS = 100
/** How long a story waits for what must come, where it does not say. */
const WAIT_MAX_MS = 60_000
/** Checkers look as often as in a seed's run. */
const LOOKS_PER_CHECK = 5

/** A service that works, but for what a story changes. */
export const program = (name: string, over: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...SERVICE_DEFAULTS,
  environment: {},
  ports: { http: 0 },
  dependsOn: {},
  uses: [],
  constraints: [],
  name,
  command: ['serve', 'ready=200ms'],
  healthcheck: { kind: 'tcp', intervalMs: 500, timeoutMs: 400, retries: 3, startPeriodMs: 1000 },
  ...over,
})

export class Stage {
  readonly world: World
  readonly scene: Scene
  readonly #referee: Referee
  readonly #watches = new Map<string, () => boolean>()
  #looks = 0

  constructor(world: World, scene: Scene, referee: Referee) {
    this.world = world
    this.scene = scene
    this.#referee = referee
  }

  get machines(): readonly Machine[] {
    return this.world.machines
  }

  machine(number: number): Machine {
    return defined(this.world.machines[number], `machine ${number}`)
  }

  say(line: string): void {
    this.scene.say(line)
  }

  // ------------------------------------------------------------------------------------------------------------- time

  /** Lets simulated time pass. @throws StoryError when a watch does not hold any more. */
  async wait(durationMs: number): Promise<void> {
    const untilMs = this.world.simulator.nowMs + durationMs
    while (this.world.simulator.nowMs < untilMs) {
      await this.world.run(Math.min(LOOK_MS, untilMs - this.world.simulator.nowMs))
      this.#look()
    }
  }

  /** Waits until it holds. @returns simulated milliseconds that it took. @throws StoryError when it does not come. */
  async until(what: string, holds: () => boolean, limitMs = WAIT_MAX_MS): Promise<number> {
    const fromMs = this.world.simulator.nowMs
    while (!holds()) {
      if (this.world.simulator.nowMs - fromMs >= limitMs)
        throw new StoryError(`not within ${formatDuration(limitMs)}: ${what}`)
      await this.wait(LOOK_MS)
    }
    const tookMs = this.world.simulator.nowMs - fromMs
    this.say(`${what}: after ${(tookMs / 1000).toFixed(1)} s`)
    return tookMs
  }

  /** From now on this must hold at every look, until the returned function is called. */
  always(what: string, holds: () => boolean): () => void {
    this.#watches.set(what, holds)
    return () => void this.#watches.delete(what)
  }

  /** @throws StoryError when it does not hold now. */
  expect(what: string, holds: boolean): void {
    if (!holds) throw new StoryError(`it does not hold that ${what}`)
  }

  #look(): void {
    this.#looks += 1
    if (this.#looks % LOOKS_PER_CHECK === 0) this.#referee.look()
    for (const [what, holds] of this.#watches)
      if (!holds()) throw new StoryError(`it does not hold any more that ${what}`)
    const [violation] = this.#referee.violations
    if (violation !== undefined) throw new StoryError(violation)
  }

  // -------------------------------------------------------------------------------------------------------- operators

  /** An operator's edit at that machine, waited for. @throws StoryError when it is refused or changes nothing. */
  async edit(at: Machine, what: string, edits: (view: View) => readonly Edit[]): Promise<void> {
    this.say(`${at.name}: ${what}`)
    const answers: boolean[] = []
    void this.scene.edit(at, what, edits).then((answer) => answers.push(answer))
    while (answers.length === 0) await this.wait(LOOK_MS)
    this.expect(`the edit '${what}' is acknowledged`, answers[0] === true)
  }

  apply(at: Machine, ...services: readonly ServiceSpec[]): Promise<void> {
    return this.edit(
      at,
      `apply ${services.map(({ name }) => name).join(', ')}`,
      (view) => applyCell(view, { name: CELL, services: [...services] }).edits,
    )
  }

  /** Applies and waits until every replica is ready. */
  async deployed(at: Machine, ...services: readonly ServiceSpec[]): Promise<void> {
    await this.apply(at, ...services)
    for (const { name, replicas } of services)
      await this.until(`${name} is ready`, () => this.ready(name) === (replicas ?? 1))
  }

  /** Faults end and machines come back as init systems do it; then nothing may be left to do (verdict.ts). */
  power(machine: Machine, on: boolean): void {
    this.scene.disturb()
    this.say(`${machine.name}: power ${on ? 'returns' : 'is lost'}`)
    if (on) this.scene.start(machine)
    else machine.powerOff()
  }

  // -------------------------------------------------------------------------------------------------- what can be seen

  /** Living processes of a service, wherever they run, whatever peers believe. */
  living(name: string): readonly ScriptedProcess[] {
    return this.machines.flatMap(({ processes }) =>
      processes
        .processes()
        .filter(({ record, exit }) => exit === null && record.service === `${CELL}/${name}`),
    )
  }

  /** Slots of a service of which an instance would answer now. */
  ready(name: string): number {
    return this.slots(name).size
  }

  slots(name: string): ReadonlySet<SlotId> {
    return new Set(
      this.machines.flatMap(({ processes }) =>
        processes
          .processes()
          .filter(({ record }) => record.service === `${CELL}/${name}` && processes.isWell(record.instance))
          .map(({ record }) => record.slot),
      ),
    )
  }

  /** Which process serves: to see that one was left alone. */
  nonces(machine: Machine): readonly string[] {
    return machine.processes
      .processes()
      .filter(({ exit }) => exit === null)
      .map(({ record }) => record.nonce)
      .sort()
  }

  /** Every peer that runs has the same document. */
  agree(): boolean {
    return new Set(this.world.snapshots().map(({ view }) => view.digest)).size === 1
  }

  /** The document as that machine has it. */
  view(machine: Machine): View {
    return agentOf(machine).view()
  }
}
