// The cell that simulated operators work on: a few services whose names and the seed say what they are, and whose commands
// change with every deploy, as a cell file's do.

import { applyCell } from '../crdt/edits.ts'
import type { Edit } from '../crdt/edit.ts'
import type { ServiceSpec } from '../crdt/schema/service.ts'
import { SERVICE_DEFAULTS } from '../crdt/schema/service-defaults.ts'
import type { View } from '../crdt/schema/view.ts'
import { seededRandom, type Random } from '../lib/random.ts'

export const CELL = 'shop'
export const SERVICES = ['api', 'cart', 'web'] as const
export const REPLICAS_MAX = 6

/** Programs that behave badly, in the words of processes.ts: each deploy takes each with a chance of one in six. */
const WORDS = [
  'ready=50ms',
  'ready=2s',
  'stop=3s',
  'deaf',
  'forks',
  'unwell=4s..9s',
  'unwell=6s..90s',
  'exit=1@700ms',
  'exit=0@9s',
  'ready=never',
] as const

/** A command that may misbehave. */
export const drawCommand = (random: Random): string => {
  const words = WORDS.filter(() => random.below(6) === 0)
  // Half of all deploys are of programs that work.
  return random.below(2) === 0 ? 'ready=50ms' : words.join(' ')
}

/** Whether a run has quorum services: in half of them, for no older version may be a member where there is one. */
export const hasQuorum = (world: Random): boolean => world.fork('quorum').below(2) === 0

/** What a service is besides its command: depends on its name and the seed only. `random` is the world's. */
export const specOf = (world: Random, name: string, command: string): ServiceSpec => {
  const random = world.fork(`service ${name}`)
  const quorum = world.fork(`quorum ${name}`)
  const isQuorum = hasQuorum(world) && quorum.below(2) === 0
  const check = { kind: 'tcp', intervalMs: 500, timeoutMs: 400, retries: 3, startPeriodMs: 1000 } as const
  const spec: ServiceSpec = {
    ...SERVICE_DEFAULTS,
    environment: {},
    ports: { http: 0 },
    dependsOn: {},
    uses: [],
    constraints: random.below(8) === 0 ? ['node.name == nowhere'] : [],
    name,
    command: ['serve', ...command.split(' ').filter((word) => word !== '')],
    healthcheck: random.below(2) === 0 ? check : null,
    mode: random.below(5) === 0 ? 'global' : 'replicated',
    replicas: null,
    stopGraceMs: 2000,
    onPartition: partitionOf(random.below(5) === 0, isQuorum),
    reservedCpusMilli: 200 * random.below(6),
    reservedMemoryBytes: 0,
    update: {
      order: random.below(3) === 0 ? 'stop-first' : 'start-first',
      parallelism: 1 + random.below(2),
      ...drawRollout(world, name),
    },
    ...drawHook(world, name),
  }
  return isQuorum ? asQuorum(spec, quorum) : spec
}

/** Stop-first, as the cell file's reader has it; and often wanted elsewhere while the old lease may still run. */
const asQuorum = (spec: ServiceSpec, random: Random): ServiceSpec => ({
  ...spec,
  update: { ...spec.update, order: 'stop-first' },
  rescheduleAfterMs: [0, 500, spec.rescheduleAfterMs][random.below(3)] ?? spec.rescheduleAfterMs,
})

const partitionOf = (stays: boolean, isQuorum: boolean): ServiceSpec['onPartition'] =>
  isQuorum ? 'quorum' : stays ? 'stay' : 'run'
/** In a third of all worlds services ask for a verdict on their releases. Drawn apart, so that other draws stay. */
const drawRollout = (world: Random, name: string): Partial<ServiceSpec['update']> => {
  const random = world.fork(`rollout ${name}`)
  if (world.fork('rollouts').below(3) > 0 || random.below(4) === 0) return {}
  return {
    canary: random.below(3),
    monitorMs: 1000 * random.below(4),
    failureAction: 'rollback',
    // Shorter than a run, longer than any start.
    progressDeadlineMs: 40_000,
  }
}

/** In half of those worlds some releases come with a hook, which may fail, or outlast what its steward lives. */
const drawHook = (world: Random, name: string): Pick<ServiceSpec, 'preDeploy'> => {
  const random = world.fork(`hook ${name}`)
  if (world.fork('rollouts').below(3) > 0 || world.fork('hooks').below(2) === 0) return {}
  const word = ['exit=0@100ms', 'exit=0@2s', 'exit=0@8s', 'exit=1@1s', ''][random.below(5)] ?? ''
  return word === '' ? {} : { preDeploy: { command: ['serve', word], timeoutMs: 20_000 } }
}

/** A cell that runs nothing: an edit that can be looked for later and concerns nobody else. */
export const noteEdits = (view: View, name: string): readonly Edit[] => {
  const mark = specOf(seededRandom('note'), 'mark', '')
  const spec: ServiceSpec = { ...mark, mode: 'replicated', onPartition: 'run', replicas: 0 }
  return applyCell(view, { name, services: [spec] }).edits
}
