// The demo's stage: three peers as processes of their own in one temporary directory, joined by ticket, and their removal.
// Whatever goes wrong half-way, `strike` takes everything down that `build` set up.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../lib/errors.ts'
import type { InstancesReply, InviteReply, StatusReply } from '../../node/serve/api/contract.ts'
import { launchPeer, untilInSync, START_TIMEOUT_MS, type Launched } from '../launch.ts'
import { endProcessesUnder } from './leftovers.ts'

export const PEER_NAMES = ['a', 'b', 'c'] as const

// Each peer leaves three zones apart, so that spreading and constraints can be tried.
const labelsOf = (name: string): readonly string[] => ['--label', `zone=zone-${name}`]

// The grace of the example's services is 5 s; then SIGKILL.
const REMOVE_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000
const POLL_MS = 50

export interface StageOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly launcher?: string | undefined
  /** Each step, in words. */
  readonly step: (words: string) => void
}

export class Stage {
  readonly root: string
  readonly peers: Launched[] = []
  readonly #options: StageOptions

  constructor(options: StageOptions) {
    this.#options = options
    // Short: a Unix socket's path may have 107 characters.
    this.root = mkdtempSync(join(tmpdir(), 'tutti-demo-'))
  }

  /** Starts the peers; the second and third join the first by ticket, at the same time. */
  async build(signal: AbortSignal): Promise<void> {
    const [first, ...others] = PEER_NAMES
    this.#options.step(`starting peer ${first}`)
    const founder = this.#launch(first, {})
    await untilInSync(founder, 0, START_TIMEOUT_MS, signal)
    const { ticket } = await founder.client.post<InviteReply>('/v1/invites', {
      uses: others.length,
      expiresMs: 600_000,
    })
    this.#options.step(`peers ${others.join(' and ')} join it by ticket`)
    const joined = others.map((name) => this.#launch(name, { TUTTI_TICKET: ticket }))
    await Promise.all(joined.map((peer) => untilInSync(peer, others.length, START_TIMEOUT_MS, signal)))
  }

  #namesOf(peers: readonly Launched[]): ReadonlySet<string> {
    return new Set(PEER_NAMES.filter((_name, at) => peers.some((peer) => peer === this.peers[at])))
  }

  #launch(name: string, extra: Readonly<Record<string, string>>): Launched {
    const { TUTTI_TICKET: _, TUTTI_DATA: __, TUTTI_PEER: ___, ...environment } = this.#options.environment
    const peer = launchPeer({
      data: join(this.root, name),
      options: ['--name', name, '--listen', '/ip4/127.0.0.1/tcp/0', ...labelsOf(name)],
      environment: { ...environment, ...extra },
      // A group of its own: Ctrl-C reaches this command alone, which then ends the peers in order.
      detached: true,
      launcher: this.#options.launcher,
    })
    this.peers.push(peer)
    return peer
  }

  /** Removes the cells, stops the peers, ends what is left, deletes the directory. Never throws; returns what went wrong. */
  async strike(): Promise<readonly string[]> {
    const problems: string[] = []
    const attempt = async (what: string, act: () => Promise<void>): Promise<void> => {
      try {
        await act()
      } catch (thrown) {
        problems.push(`${what}: ${messageOf(thrown)}`)
      }
    }
    const living = this.peers.filter(({ child }) => child.exitCode === null && child.signalCode === null)
    const [speaker] = living
    if (speaker !== undefined)
      await attempt('removing the cells', () => removeCells(speaker, this.#namesOf(living)))
    await Promise.all(living.map((peer) => stopPeer(peer)))
    await attempt('ending processes', async () => {
      const count = await endProcessesUnder(this.root)
      // Programs of a peer that was killed run on as they should: nothing went wrong.
      if (count > 0 && living.length === this.peers.length)
        problems.push(`${count} processes had to be ended one by one`)
    })
    await attempt('deleting files', async () =>
      rmSync(this.root, { recursive: true, force: true, maxRetries: 3 }),
    )
    return problems
  }
}

/** What a dead peer left runs on and is swept later: nobody would ever say that it stopped. */
const removeCells = async (peer: Launched, living: ReadonlySet<string>): Promise<void> => {
  const { cells } = await peer.client.get<StatusReply>('/v1/status', {}, STOP_TIMEOUT_MS)
  if (cells.length === 0) return
  const operations = cells.map(({ name }) => ({ kind: 'remove-cell', cell: name }))
  await peer.client.post('/v1/changes', { operations, message: 'end of the demo' }, STOP_TIMEOUT_MS)
  const deadlineMs = performance.now() + REMOVE_TIMEOUT_MS
  while (performance.now() < deadlineMs) {
    const { instances } = await peer.client.get<InstancesReply>('/v1/instances', {}, STOP_TIMEOUT_MS)
    if (instances.every(({ peer, state }) => state === 'stopped' || !living.has(peer))) return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

const stopPeer = async (peer: Launched): Promise<void> => {
  peer.child.kill('SIGTERM')
  const timer = setTimeout(() => peer.child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await peer.gone
  clearTimeout(timer)
}
