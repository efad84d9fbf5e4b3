// Hosts on one machine: network namespaces joined by a bridge in a namespace of its own, so that the machine's network is
// never touched. A partition is one atomic nftables command on that bridge. Needs root, iproute2 and nftables.

import { execFile, execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { promisify } from 'node:util'
import { Fleet, type Peer } from './fleet.ts'
import { atExit, isRunning } from './leftovers.ts'

const run = promisify(execFile)

/** Of every namespace made here; the pid follows, so that parallel runs do not meet and leftovers show. */
const PREFIX = 'tutti-e2e-'
let beds = 0

/** Null where the machine can make namespaces; else one sentence on what is missing, for a loud skip. */
export const netbedMissing = async (): Promise<string | null> => {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const probe = `${PREFIX}${process.pid}-probe`
  try {
    await run('nft', ['--version'])
    await run('ip', ['netns', 'add', probe])
    await run('ip', ['netns', 'del', probe])
    return null
  } catch (thrown) {
    return `network namespaces are not available here: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}

export class Netbed {
  readonly #prefix: string
  readonly hosts: number

  readonly #release: () => void

  private constructor(prefix: string, hosts: number) {
    this.#prefix = prefix
    this.hosts = hosts
    this.#release = atExit(() => {
      for (const name of this.#names()) execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
    })
  }

  /** Makes hosts 1 to `hosts` at 10.77.0.x. */
  static async create(hosts: number): Promise<Netbed> {
    await sweep()
    beds += 1
    const bed = new Netbed(`${PREFIX}${process.pid}-${beds}`, hosts)
    const { sw } = bed
    const script = [
      `ip netns add ${sw}`,
      `ip -n ${sw} link set lo up`,
      `ip -n ${sw} link add br0 type bridge stp_state 0 forward_delay 0`,
      `ip -n ${sw} link set br0 up`,
    ]
    for (let at = 1; at <= hosts; at += 1) {
      const host = bed.host(at)
      script.push(
        `ip netns add ${host}`,
        `ip -n ${sw} link add v${at} type veth peer name eth0 netns ${host}`,
        `ip -n ${sw} link set v${at} master br0 up`,
        `ip -n ${host} link set lo up`,
        `ip -n ${host} addr add ${bed.address(at)}/24 dev eth0`,
        `ip -n ${host} link set eth0 up`,
      )
    }
    try {
      await run('sh', ['-ec', script.join('\n')])
      await bed.#nft(
        'table bridge part { set cuts { type ifname . ifname; }; chain forw { type filter hook forward priority 0; policy accept; iifname . oifname @cuts drop; }; }',
      )
      return bed
    } catch (thrown) {
      await bed.close()
      throw thrown
    }
  }

  get sw(): string {
    return `${this.#prefix}sw`
  }

  host(at: number): string {
    return `${this.#prefix}h${at}`
  }

  address(at: number): string {
    return `10.77.0.${at}`
  }

  /** Gives a host another address in place of its present one. */
  async readdress(at: number, address: string): Promise<void> {
    await run('sh', [
      '-ec',
      `ip -n ${this.host(at)} addr flush dev eth0; ip -n ${this.host(at)} addr add ${address}/24 dev eth0`,
    ])
  }

  /** Cuts `side` from all other hosts, in both directions, at once. */
  async split(side: readonly number[]): Promise<void> {
    const pairs: string[] = []
    for (const a of side) {
      for (let b = 1; b <= this.hosts; b += 1)
        if (!side.includes(b)) pairs.push(`"v${a}" . "v${b}"`, `"v${b}" . "v${a}"`)
    }
    await this.#nft(`add element bridge part cuts { ${pairs.join(', ')} }`)
  }

  /** Drops what goes from one host to another, and nothing else. */
  async oneWay(from: number, to: number): Promise<void> {
    await this.#nft(`add element bridge part cuts { "v${from}" . "v${to}" }`)
  }

  async heal(): Promise<void> {
    await this.#nft('flush set bridge part cuts')
  }

  /** Removes the namespaces; whatever ran in them must have been ended before. */
  async close(): Promise<void> {
    await Promise.all(this.#names().map((name) => run('ip', ['netns', 'del', name]).catch(() => undefined)))
    this.#release()
  }

  #names(): readonly string[] {
    const own = namespaces()
    return [this.sw, ...Array.from({ length: this.hosts }, (_, at) => this.host(at + 1))].filter((name) =>
      own.includes(name),
    )
  }

  async #nft(commands: string): Promise<void> {
    await run('ip', ['netns', 'exec', this.sw, 'nft', commands])
  }
}

const namespaces = (): readonly string[] => {
  try {
    return readdirSync('/run/netns')
  } catch {
    return []
  }
}

/** Removes what a run left that was killed: namespaces of ours whose process is no more. */
const sweep = async (): Promise<void> => {
  for (const name of namespaces()) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (pid === undefined || isRunning(Number(pid))) continue
    await run('ip', ['netns', 'del', name]).catch(() => undefined)
  }
}

/** A fleet whose peer at index n runs on host n + 1 and listens there. */
export interface Land {
  readonly bed: Netbed
  readonly fleet: Fleet
  readonly peers: readonly Peer[]
}

/** Runs a scenario on hosts of its own, one peer each, all in one cluster. Nothing is left either way. */
export const withLand = async (
  hosts: number,
  scenario: (land: Land) => Promise<void>,
  grow: (fleet: Fleet, bed: Netbed) => Promise<readonly Peer[]> = (fleet, bed) =>
    fleet.grow(hosts, (at) => onHost(bed, at)),
): Promise<void> => {
  const bed = await Netbed.create(hosts)
  const fleet = await Fleet.create()
  try {
    await scenario({ bed, fleet, peers: await grow(fleet, bed) })
  } catch (thrown) {
    process.stderr.write(`${fleet.story()}\n`)
    throw thrown
  } finally {
    await fleet.close()
    await bed.close()
  }
}

/** Options of a peer on host `at + 1`. */
export const onHost = (bed: Netbed, at: number): { name: string; netns: string; listen: string } => ({
  name: `p${at}`,
  netns: bed.host(at + 1),
  listen: '/ip4/0.0.0.0/tcp/7701',
})
