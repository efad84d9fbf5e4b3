// A scene: a simulated cluster under trouble, and the ground truth of it that steps and checkers share. It performs the
// steps of a schedule when their time comes, ends what lasts, and heals everything at last. A step that no longer
// applies, since others were left out or came first, does nothing. What steps do is faults/; what must hold is checkers/.

import type { Edit } from '../crdt/edit.ts'
import type { View } from '../crdt/schema/view.ts'
import { asTuttiError } from '../lib/errors.ts'
import type { ChangeHash } from '../lib/ids.ts'
import type { Random } from '../lib/random.ts'
import type { Fault } from './faults/fault.ts'
import { LinkLayers } from './link-layers.ts'
import type { Machine } from './machine.ts'
import type { Referee } from './referee.ts'
import type { Step } from './schedule.ts'
import { hasQuorum } from './services.ts'
import type { World } from './world.ts'

export interface SceneOptions {
  readonly world: World
  readonly referee: Referee
  readonly faults: readonly Fault[]
  /** Receives each event, when it happens. */
  readonly say: (line: string) => void
}

/** An edit whose operator was told that it holds. */
export interface Acknowledged {
  readonly change: ChangeHash
  readonly by: string
  readonly what: string
  readonly atMs: number
  /** True once every disk that durably held it has been destroyed: then nobody owes it to anyone (S2). */
  excused: boolean
}

export class Scene {
  readonly world: World
  readonly referee: Referee
  readonly links: LinkLayers
  /** Edits in the order of their acknowledgements. */
  readonly acknowledged: Acknowledged[] = []
  /** Hashes of changes that no correct peer may hold, and SHA-256 of messages that none may pass on. */
  readonly forged = new Set<string>()
  /** How many steps of each kind took effect. */
  readonly performed = new Map<string, number>()
  /** The document holds, or is about to hold, fields that an older version cannot read. */
  laterFields: boolean
  readonly #faults: ReadonlyMap<string, Fault>
  readonly #say: (line: string) => void
  readonly #ends = new Map<number, () => void>()
  /** Who took a machine down or froze it; only that step's end brings it back. */
  readonly #broken = new Map<Machine, number>()
  /** Ids of faults that are no steps, from -1 downwards. */
  #told = 0
  /** Clocks that are off by more than anything may rely on, now. */
  #clocksWrong = 0
  #clocksRightMs = -Infinity
  /** Edits that are under way; one at a peer that has ended will never be done. */
  readonly #editing = new Set<{ readonly machine: Machine; readonly agent: Machine['agent'] }>()
  #turn: Promise<void> = Promise.resolve()
  #disturbedMs = 0
  #faultMs = 0
  #healed = false

  constructor({ world, referee, faults, say }: SceneOptions) {
    this.world = world
    this.laterFields = hasQuorum(world.random)
    this.referee = referee
    this.links = new LinkLayers(world.network, () => world.machines.map(({ signer }) => signer.member))
    this.#faults = new Map(faults.map((fault) => [fault.kind, fault]))
    this.#say = say
  }

  /** True simulated milliseconds for which no fault was active and no operator did anything. */
  get calmMs(): number {
    return this.#ends.size > 0 ? 0 : this.world.simulator.nowMs - this.#disturbedMs
  }

  /** The same without faults alone: operators may have edited meanwhile. */
  get faultlessMs(): number {
    return this.#ends.size > 0 ? 0 : this.world.simulator.nowMs - this.#faultMs
  }

  /** When a clock was last off by more than anything may rely on; `-Infinity`: never. */
  get clocksWrongMs(): number {
    return this.#clocksWrong > 0 ? this.world.simulator.nowMs : this.#clocksRightMs
  }

  /** From now to the returned end some clock is that far off. */
  distrustClocks(): () => void {
    this.#clocksWrong += 1
    return () => {
      this.#clocksWrong -= 1
      this.#clocksRightMs = this.world.simulator.nowMs
    }
  }

  say(line: string): void {
    this.#say(line)
  }

  /** A Random of that step alone, whatever else happens. */
  random(step: Step): Random {
    return this.world.random.fork(`step ${step.id}`)
  }

  machine(number: number | undefined): Machine | null {
    const machine = number === undefined ? undefined : this.world.machines[number]
    return machine === undefined || machine.retired ? null : machine
  }

  /** The machines of a step that are there. */
  machinesOf(step: Step): readonly Machine[] {
    return step.machines.flatMap((number) => this.machine(number) ?? [])
  }

  /** Lets the steps happen in their time, from now on. */
  schedule(steps: readonly Step[]): void {
    const { simulator } = this.world
    for (const step of steps) simulator.after(step.atMs, () => this.#perform(step))
  }

  /** Lets something follow from a step, unless all trouble has ended by then. */
  later(delayMs: number, act: () => void): void {
    this.world.simulator.after(delayMs, () => {
      if (!this.#healed) act()
    })
  }

  /** Something happened by which the cluster is out of balance for a while. */
  disturb(): void {
    this.#faultMs = this.world.simulator.nowMs
    this.#disturbedMs = this.#faultMs
  }

  /** A fault that nobody scheduled: it lasts until the returned function is called, and nobody expects calm meanwhile. */
  lasting(end: () => void): () => void {
    this.#told -= 1
    const id = this.#told
    this.#ends.set(id, end)
    this.disturb()
    return () => {
      if (!this.#ends.delete(id)) return
      this.disturb()
      end()
    }
  }

  /** Does what looks at disks and then changes one, after whatever does so at this instant. It awaits nothing but disks. */
  async inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(act)
    this.#turn = done
    await done
  }

  /** Claims a machine for a step that takes it down or freezes it; false when another one has it. */
  claim(machine: Machine, step: Step): boolean {
    if (this.#broken.has(machine) || machine.agent === null) return false
    this.#broken.set(machine, step.id)
    return true
  }

  release(machine: Machine): void {
    this.#broken.delete(machine)
  }

  isBroken(machine: Machine): boolean {
    return this.#broken.has(machine)
  }

  /** Starts a machine's peer without waiting for it, as an init system does. */
  start(machine: Machine): void {
    if (machine.running || machine.retired) return
    this.disturb()
    machine.start().catch((thrown: unknown) => {
      this.say(`${machine.name}: did not start: ${asTuttiError(thrown).message}`)
      machine.kill()
    })
  }

  /** Whether an operator's edit is still under way, as on a slow disk. */
  get isEditing(): boolean {
    return [...this.#editing].some(({ machine, agent }) => machine.agent === agent)
  }

  /** An operator's edit at that machine; resolves with whether it was acknowledged. Never rejects. */
  async edit(machine: Machine, what: string, edits: (view: View) => readonly Edit[]): Promise<boolean> {
    const { agent, name } = machine
    if (agent === null) return false
    this.#disturbedMs = this.world.simulator.nowMs
    const editing = { machine, agent }
    this.#editing.add(editing)
    try {
      const list = edits(agent.snapshot().view)
      if (list.length === 0) return false
      const at = Math.floor(this.world.simulator.nowMs)
      const { change } = await agent.edit(list, { message: what.slice(0, 200), at })
      if (change === null) return false
      this.acknowledged.push({ change, by: name, what, atMs: this.world.simulator.nowMs, excused: false })
      await this.referee.askLater('acknowledged', (check, scene) => check(scene, machine, change))
      return true
    } catch (thrown) {
      this.say(`${name}: refused to ${what}: ${asTuttiError(thrown).message}`)
      return false
    } finally {
      this.#editing.delete(editing)
    }
  }

  /** Ends every fault; machines that are down are started. Resolves when all peers have begun. */
  async heal(): Promise<void> {
    this.#healed = true
    this.say('all faults end')
    for (const [, end] of [...this.#ends].sort(([a], [b]) => a - b)) end()
    this.#ends.clear()
    this.disturb()
    // Some ends first look at a disk.
    await this.world.simulator.breathe()
    // In half of the runs the fleet stays mixed.
    const upgraded = this.world.random.fork('upgrade').below(2) === 0
    for (const machine of this.world.present()) {
      if (upgraded && machine.version !== 'present') {
        if (machine.running) machine.kill()
        machine.version = 'present'
      }
      machine.disk.heal()
      this.#broken.delete(machine)
      // A peer that could not start ended again: it is started like one that was killed.
      if (machine.agent !== null) continue
      if (machine.running) machine.kill()
      if (machine.origin === null) machine.retired = true
      else await this.world.finish(machine.start())
    }
  }

  #perform(step: Step): void {
    const fault = this.#faults.get(step.kind)
    // A schedule drawn by another version may name a kind that is gone.
    if (fault === undefined || this.#healed) return
    const end = fault.begin(this, step)
    if (end === 'skipped') return
    this.performed.set(step.kind, (this.performed.get(step.kind) ?? 0) + 1)
    this.say(fault.say(step, this))
    if (fault.gentle !== true) this.disturb()
    if (end === 'done') return
    this.#ends.set(step.id, end)
    this.world.simulator.after(step.lastsMs, () => {
      if (!this.#ends.delete(step.id)) return
      this.disturb()
      end()
    })
  }
}
