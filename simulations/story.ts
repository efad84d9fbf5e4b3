// A story: what an operator and bad luck do to a simulated cluster, drawn from the world's seed. Steps are begun and
// never waited for, as in life: an edit may hang on a slow disk, a peer may die while it starts. It ends with `heal`, when
// every fault is over and the operator has withdrawn what cannot run. What must hold then is verdict.ts's concern.

import { applyCell, drain, scale, uncordon } from '../crdt/edits.ts'
import type { Edit } from '../crdt/edit.ts'
import { SERVICE_DEFAULTS, type ServiceSpec } from '../crdt/schema/service.ts'
import type { View } from '../crdt/schema/view.ts'
import { defined } from '../lib/assert.ts'
import { asTuttiError } from '../lib/errors.ts'
import { serviceIdOf } from '../lib/ids.ts'
import { seededRandom, type Random } from '../lib/random.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

export interface StoryOptions {
  /** Simulated length of the trouble, milliseconds. */
  readonly durationMs: number
  /** Receives each event, when it happens. */
  readonly say: (line: string) => void
}

type Condition = 'up' | 'down' | 'frozen'

const CELL = 'shop'
const SERVICES = ['api', 'cart', 'web'] as const
/** Pauses between two steps: from steps that fall into each other's consequences to ones that meet a cluster at rest. */
const PAUSES_MS = [50, 400, 2000, 6000, 20_000] as const
/** A slow disk takes this long for each operation. */
const SLOW_MS = 300
const REPLICAS_MAX = 6
/** How long the operator waits for the peers to agree; whether they ever do is the verdict's to say. */
const AGREE_MAX_MS = 30_000
const LOOK_MS = 250

export class Story {
  readonly #world: World
  readonly #machines: readonly Machine[]
  readonly #options: StoryOptions
  readonly #random: Random
  readonly #conditions = new Map<Machine, Condition>()
  /** Machines that may be down or frozen at once; drawn, so that some stories lose a majority and some nobody. */
  readonly #brokenMax: number
  readonly #acknowledged: string[] = []
  #edits = 0

  constructor(world: World, machines: readonly Machine[], options: StoryOptions) {
    this.#world = world
    this.#machines = machines
    this.#options = options
    this.#random = world.random.fork('story')
    this.#brokenMax = this.#random.below(machines.length)
  }

  /** Cells whose creation was acknowledged, and that nobody removed: they are in every later view (S2). */
  get acknowledged(): readonly string[] {
    return this.#acknowledged
  }

  /** Runs the world through the trouble. */
  async tell(): Promise<void> {
    const untilMs = this.#world.simulator.nowMs + this.#options.durationMs
    this.#apply(SERVICES)
    while (this.#world.simulator.nowMs < untilMs) {
      const pauseMs = this.#pick(PAUSES_MS) * this.#random.next()
      await this.#world.run(Math.min(pauseMs, untilMs - this.#world.simulator.nowMs))
      this.#step()
    }
  }

  /** Ends every fault; the operator makes every service one that can run. */
  async heal(): Promise<void> {
    this.#say('all faults end')
    this.#world.network.heal()
    for (const machine of this.#machines) {
      machine.disk.heal()
      if (this.#is(machine, 'frozen')) machine.thaw()
      // A peer that could not start ended again: it is started like one that was killed.
      else if (machine.agent === null) {
        if (this.#is(machine, 'up')) machine.kill()
        await this.#world.finish(machine.start())
      }
      this.#conditions.set(machine, 'up')
    }
    // An operator who edits what others edited meanwhile may lose to them, by the document's rules; this one looks first.
    for (let waitedMs = 0; waitedMs < AGREE_MAX_MS && !this.#agree(); waitedMs += LOOK_MS)
      await this.#world.run(LOOK_MS)
    const operator = defined(this.#machines[0], 'the first machine')
    const edits = this.#edit(operator, 'withdraw what cannot run', (view) => {
      const present = view.services.filter(({ cell }) => cell === CELL).map(({ name }) => name)
      const services = present.map((name) => this.#spec(name, ['ready=100ms']))
      return services.length === 0 ? [] : applyCell(view, { name: CELL, services }).edits
    })
    await this.#world.finish(edits)
  }

  #step(): void {
    const steps: readonly (() => void)[] = [
      () => this.#apply(SERVICES.filter(() => this.#random.below(6) > 0)),
      () => this.#scale(),
      () => this.#restart(),
      () => this.#drain(),
      () => this.#note(),
      () => this.#killPeer(),
      () => this.#powerOff(),
      () => this.#freeze(),
      () => this.#bringBack(),
      () => this.#bringBack(),
      () => this.#partition(),
      () => this.#healNetwork(),
      () => this.#trouble(),
      () => this.#killProcess(),
    ]
    this.#pick(steps)()
  }

  // ---------------------------------------------------------------------------------------------------- the operator

  #apply(names: readonly string[]): void {
    const services = names.map((name) => {
      const spec = this.#spec(name, this.#command())
      return spec.mode === 'global' ? spec : { ...spec, replicas: 1 + this.#random.below(REPLICAS_MAX) }
    })
    const what = `apply ${services.map(({ name, command }) => `${name} (${command.slice(1).join(' ')})`).join(', ')}`
    void this.#editSomewhere(what, (view) => applyCell(view, { name: CELL, services }).edits)
  }

  #scale(): void {
    const service = this.#pick(SERVICES)
    const replicas = this.#random.below(REPLICAS_MAX + 1)
    void this.#editSomewhere(`scale ${service}=${replicas}`, (view) =>
      scale(view, serviceIdOf(CELL, service), replicas),
    )
  }

  #restart(): void {
    const service = this.#pick(SERVICES)
    const release = `${this.#random.below(1000)}`
    void this.#editSomewhere(`deploy ${service} release ${release}`, (view) => {
      const present = view.services.filter(({ cell }) => cell === CELL)
      const services = present.map((spec) => ({
        ...this.#spec(spec.name, spec.command),
        environment: spec.name === service ? { RELEASE: release } : spec.environment,
      }))
      return applyCell(view, { name: CELL, services }).edits
    })
  }

  #drain(): void {
    const { name } = this.#pick(this.#machines)
    const drains = this.#random.below(2) === 0
    void this.#editSomewhere(`${drains ? 'drain' : 'uncordon'} ${name}`, (view) =>
      drains ? drain(view, name) : uncordon(view, name),
    )
  }

  /** An edit that can be looked for later. */
  #note(): void {
    const name = `note-${this.#edits}`
    const spec = { ...this.#spec('mark', ['serve']), replicas: 0 }
    const noted = this.#editSomewhere(
      `create ${name}`,
      (view) => applyCell(view, { name, services: [spec] }).edits,
    )
    void noted.then((acknowledged) => {
      if (acknowledged) this.#acknowledged.push(name)
    })
  }

  #editSomewhere(what: string, edits: (view: View) => readonly Edit[]): Promise<boolean> {
    const up = this.#those('up').filter(({ agent }) => agent !== null)
    return up.length === 0 ? Promise.resolve(false) : this.#edit(this.#pick(up), what, edits)
  }

  /** Whether it was acknowledged. */
  async #edit(machine: Machine, what: string, edits: (view: View) => readonly Edit[]): Promise<boolean> {
    const { agent, name } = machine
    if (agent === null) return false
    this.#edits += 1
    this.#say(`${name}: ${what}`)
    try {
      const list = edits(agent.snapshot().view)
      if (list.length === 0) return false
      await agent.edit(list, { message: what, at: Math.floor(this.#world.simulator.nowMs) })
      return true
    } catch (thrown) {
      this.#say(`${name}: refused to ${what}: ${asTuttiError(thrown).message}`)
      return false
    }
  }

  #command(): readonly string[] {
    const words = [
      'ready=50ms',
      'ready=2s',
      'stop=3s',
      'deaf',
      'unwell=4s..9s',
      'exit=1@700ms',
      'ready=never',
    ]
    return ['serve', ...words.filter(() => this.#random.below(5) === 0)]
  }

  /** What a service is besides its command depends on its name and the seed only, as a cell file changes little. */
  #spec(name: string, command: readonly string[]): ServiceSpec {
    const random = this.#random.fork(`service ${name}`)
    const check = { kind: 'tcp', intervalMs: 500, timeoutMs: 400, retries: 3, startPeriodMs: 1000 } as const
    return {
      ...SERVICE_DEFAULTS,
      environment: {},
      ports: { http: 0 },
      dependsOn: {},
      uses: [],
      constraints: random.below(8) === 0 ? ['node.name == nowhere'] : [],
      name,
      command: command[0] === 'serve' ? [...command] : ['serve', ...command],
      healthcheck: random.below(2) === 0 ? check : null,
      mode: random.below(5) === 0 ? 'global' : 'replicated',
      replicas: null,
      stopGraceMs: 2000,
      onPartition: random.below(5) === 0 ? 'stay' : 'run',
      update: {
        order: random.below(3) === 0 ? 'stop-first' : 'start-first',
        parallelism: 1 + random.below(2),
      },
    }
  }

  // ------------------------------------------------------------------------------------------------------- the faults

  #killPeer(): void {
    this.#break('kill -9 of the peer', 'down', (machine) => machine.kill())
  }

  #powerOff(): void {
    this.#break('power loss', 'down', (machine) => machine.powerOff())
  }

  #freeze(): void {
    this.#break('frozen', 'frozen', (machine) => machine.freeze())
  }

  #break(what: string, condition: Condition, act: (machine: Machine) => void): void {
    const up = this.#those('up')
    if (up.length === 0 || this.#machines.length - up.length >= this.#brokenMax) return
    const machine = this.#pick(up)
    this.#say(`${machine.name}: ${what}`)
    this.#conditions.set(machine, condition)
    act(machine)
  }

  #bringBack(): void {
    const broken = this.#machines.filter((machine) => !this.#is(machine, 'up'))
    if (broken.length === 0) return
    const machine = this.#pick(broken)
    const { name } = machine
    if (this.#is(machine, 'frozen')) {
      this.#say(`${name}: thawed`)
      machine.thaw()
    } else {
      this.#say(`${name}: started`)
      machine.start().catch((thrown: unknown) => {
        this.#say(`${name}: did not start: ${asTuttiError(thrown).message}`)
      })
    }
    this.#conditions.set(machine, 'up')
  }

  #partition(): void {
    const sides: Machine[][] = [[], []]
    for (const machine of this.#machines) sides[this.#random.below(2)]?.push(machine)
    if (sides.some((side) => side.length === 0)) return
    this.#say(`split: ${sides.map((side) => side.map(({ name }) => name).join(' ')).join(' | ')}`)
    this.#world.network.partition(sides.map((side) => side.map(({ signer }) => signer.member)))
  }

  #healNetwork(): void {
    this.#say('the network is whole')
    this.#world.network.heal()
  }

  #trouble(): void {
    const { disk, name } = this.#pick(this.#machines)
    const kind = this.#pick(['full', 'slow', 'well', 'failing sync'] as const)
    this.#say(`${name}: disk ${kind}`)
    if (kind === 'full') disk.full = true
    else if (kind === 'slow') disk.slowMs = SLOW_MS
    else if (kind === 'well') disk.heal()
    else disk.failNext('sync', 'EIO')
  }

  #killProcess(): void {
    const { processes, name } = this.#pick(this.#machines)
    const living = processes.processes().filter(({ exit }) => exit === null)
    if (living.length === 0) return
    const { instance } = this.#pick(living).record
    this.#say(`${name}: ${instance} is killed`)
    processes.kill(instance)
  }

  // ------------------------------------------------------------------------------------------------------------ words

  #is(machine: Machine, condition: Condition): boolean {
    return (this.#conditions.get(machine) ?? 'up') === condition
  }

  #agree(): boolean {
    return new Set(this.#world.snapshots().map(({ view }) => view.digest)).size === 1
  }

  #those(condition: Condition): readonly Machine[] {
    return this.#machines.filter((machine) => this.#is(machine, condition))
  }

  #pick<T>(choices: readonly T[]): T {
    return defined(choices[this.#random.below(choices.length)], 'a choice')
  }

  #say(line: string): void {
    this.#options.say(line)
  }
}

/** A story's seed for whoever names none. */
export const freshSeed = (entropy: Uint8Array): string => {
  const random = seededRandom(entropy.join('.'))
  return Array.from({ length: 8 }, () => random.below(36).toString(36)).join('')
}
