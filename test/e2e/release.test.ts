// From a commit to the fleet: one command, and a branch that is followed. A real repository, real builds, real peers, and a
// caller who notices nothing (S8). What fails changes nothing; what a dead peer began, another one ends.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BuildDutiesReply } from '../../node/serve/api/contract.ts'
import type { PackagesReply } from '../../node/serve/api/contract-packages.ts'
import { Fleet, ready, service, until, type Instance, type Peer } from './support/fleet.ts'
import { TUTTI } from './support/peer.ts'
import { linkCaller } from './support/programs.ts'
import { ShopRepository } from './support/repository.ts'

let fleet: Fleet
let peers: readonly Peer[]
let a: Peer
let repository: ShopRepository
before(async () => {
  repository = new ShopRepository()
  fleet = await Fleet.create()
  peers = await fleet.grow(3)
  const [first] = peers
  assert.ok(first !== undefined)
  a = first
})
after(async () => {
  await fleet.close()
  repository.remove()
})

const release = (...args: readonly string[]) => a.cli('release', '-f', repository.cellFile, '--yes', ...args)

/** What the instances of the shop answer with: their versions, without repetition. */
const versions = async (peer: Peer): Promise<readonly string[]> => {
  const { instances } = await peer.instances()
  const web = instances.filter((one) => one.cell === 'shop' && one.state === 'ready')
  const answers = await Promise.all(
    web.map(async ({ ports }) => (await fetch(`http://127.0.0.1:${Object.values(ports)[0]}/`)).text()),
  )
  return [...new Set(answers.map((answer) => answer.split(' ')[0] ?? ''))]
}

const pidsOf = (instances: readonly Instance[]): readonly string[] =>
  instances.map(({ slot, pid }) => `${slot} ${pid}`).toSorted()

const worktreesLeft = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('tutti-release-'))

describe('a release', () => {
  it('builds, tests and pushes a commit, and every peer runs it', async () => {
    const commit = repository.commitShop('first')
    repository.git('tag', 'v1.0.0')
    const done = await release('--json')
    assert.equal(done.code, 0, done.stderr)
    const reply = JSON.parse(done.stdout) as Record<string, unknown>
    assert.equal(reply['version'], 'v1.0.0')
    assert.equal(reply['commit'], commit)
    assert.equal(reply['converged'], true)
    assert.deepEqual(reply['packages'], { web: 'shop-web@v1.0.0' })
    const instances = await ready(a, 'web', 3)
    assert.equal(new Set(instances.map(({ peer }) => peer)).size, 3)
    assert.deepEqual(await versions(a), ['v1.0.0'])
    const { stdout } = await a.cli('events')
    assert.ok(stdout.includes('release v1.0.0 (first)'), stdout)
    const shown = await a.get<PackagesReply>('/v1/packages')
    const [pushed] = shown.packages
    assert.deepEqual(pushed?.source, {
      commit,
      author: 'Ada <ada@example.org>',
      at: Date.parse('2031-05-04T10:00:00Z'),
    })
    assert.ok(pushed.holders.length >= 2, 'two copies at least')
  })

  it('of the same commit again builds nothing, pushes nothing and changes nothing', async () => {
    const before = { digest: await a.digest(), pids: pidsOf(await ready(a, 'web', 3)) }
    const again = await release()
    assert.equal(again.code, 0, again.stderr)
    assert.ok(again.stdout.includes('v1.0.0 is pushed already'), again.stdout)
    assert.ok(again.stdout.includes('nothing to change'), again.stdout)
    assert.deepEqual({ digest: await a.digest(), pids: pidsOf(await ready(a, 'web', 3)) }, before)
  })

  it('refuses a tree with anything that is not committed, and changes nothing', async () => {
    const digest = await a.digest()
    repository.write('app/stray.txt', '1')
    const refused = await release()
    assert.equal(refused.code, 1)
    assert.ok(refused.stderr.startsWith('tutti: not committed: app/stray.txt; '), refused.stderr)
    assert.equal(await a.digest(), digest)
    repository.git('clean', '--quiet', '--force', '-d')
  })

  it('that fails to build or its test changes nothing: one sentence, the last lines, exit 1', async () => {
    const digest = await a.digest()
    repository.commitShop('broken', { build: 'echo compiling; echo no such header >&2; exit 7' })
    const failed = await release()
    assert.equal(failed.code, 1)
    assert.match(
      failed.stderr,
      /^tutti: web: the build of v1\.0\.0-1-g\w+ exited with 7; nothing was changed/m,
    )
    assert.match(failed.stderr, /^ {2}\| no such header$/m)
    repository.commitShop('untested', { verify: 'echo 1 test failed; exit 1' })
    const untested = await release()
    assert.equal(untested.code, 1)
    assert.match(untested.stderr, /web: its test of v1\.0\.0-2-g\w+ exited with 1/)
    assert.equal(await a.digest(), digest)
    assert.deepEqual(await versions(a), ['v1.0.0'])
  })

  it('that is interrupted leaves neither a worktree nor a process behind', async () => {
    repository.commitShop('slow', { build: 'echo begun; sleep 1000' })
    const digest = await a.digest()
    const args = ['release', '--peer', a.socket, '-f', repository.cellFile, '--yes']
    const child = spawn(TUTTI, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (data: Buffer) => (output += data.toString()))
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    await until('the build has begun', () => output.includes('begun'))
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.deepEqual([repository.worktrees(), worktreesLeft()], [0, []])
    assert.equal(await a.digest(), digest)
  })

  it('goes to the next version and back without a failed call (S8)', async () => {
    await a.change({
      kind: 'apply',
      cell: {
        name: 'probe',
        services: [service('caller', linkCaller('web'), { ports: { http: 0 }, uses: ['shop/web'] })],
      },
    })
    const [caller] = await ready(a, 'caller', 1)
    const url = `http://127.0.0.1:${Object.values(caller?.ports ?? {})[0]}/`
    interface Counts {
      readonly ok: number
      readonly failed: number
      readonly last: string
      readonly seen: Readonly<Record<string, number>>
    }
    const counts = async (): Promise<Counts> => (await (await fetch(url)).json()) as Counts
    await (await fetch(`${url}go`)).text()
    await until('calls', async () => (await counts()).ok > 50)
    repository.commitShop('second')
    repository.git('tag', 'v2.0.0')
    const forth = await release('--message', 'the new shop')
    assert.equal(forth.code, 0, forth.stderr)
    assert.deepEqual(await versions(a), ['v2.0.0'])
    const back = await release('--rev', 'v1.0.0')
    assert.equal(back.code, 0, back.stderr)
    assert.ok(back.stdout.includes('is pushed already'), back.stdout)
    assert.deepEqual(await versions(a), ['v1.0.0'])
    const { failed, last, seen } = await counts()
    assert.equal(failed, 0, last)
    assert.ok((seen['v1.0.0'] ?? 0) > 0 && (seen['v2.0.0'] ?? 0) > 0, JSON.stringify(seen))
    await a.change({ kind: 'remove-cell', cell: 'probe' })
  })

  it('that crashes is taken back from its canary, exits with 1 and says why (S8, L5)', async () => {
    const before = await versions(a)
    const update = '{ canary: 1, monitor: 2s }'
    repository.commitShop('third', { update, build: 'echo "process.exit(3)" > dist/server.mjs' })
    const done = await release()
    assert.equal(done.code, 1, done.stdout)
    assert.match(done.stderr, /shop\/web.*crashed.*exited with 3/)
    assert.doesNotMatch(done.stdout, /shop runs/)
    await until('the release before runs everywhere', async () => (await ready(a, 'web', 3)).length === 3)
    assert.deepEqual(await versions(a), before)
    const again = await release()
    assert.equal(again.code, 3, again.stdout)
    assert.match(again.stderr, /was rejected/)
  })

  it('is refused with one sentence by apply, which builds nothing', async () => {
    const applied = await a.cli('apply', '-f', repository.cellFile, '--yes')
    assert.equal(applied.code, 3)
    assert.match(applied.stderr, /services\.web\.build: packages are built from a commit; use .*release -f/)
  })
})

describe('a branch that is followed', () => {
  let viewer: Peer
  let bare: string
  before(async () => {
    await fleet.agree(peers)
    await a.change({ kind: 'remove-cell', cell: 'shop' })
    await until('the shop is gone', async () => (await a.instances()).instances.length === 0)
    bare = join(repository.base, 'origin.git')
    repository.commitShop('on main')
    repository.git('clone', '--quiet', '--bare', '.', bare)
    repository.git('remote', 'add', 'origin', bare)
    viewer = a
  })

  const push = (): void => void repository.git('push', '--quiet', '--tags', 'origin', 'main')
  const duty = async (): Promise<BuildDutiesReply['duties'][number]> => {
    const [found] = (await viewer.get<BuildDutiesReply>('/v1/build-duties')).duties
    assert.ok(found !== undefined)
    return found
  }
  const released = (commit: string): Promise<boolean> =>
    until(
      `${commit.slice(0, 12)} is released`,
      async () => {
        const found = await duty()
        if (found.outcome?.commit === commit && found.outcome.kind === 'released') return true
        throw new Error(JSON.stringify(found))
      },
      60_000,
    )
  const versionOf = (rev: string): string =>
    repository.git('describe', '--tags', '--always', '--abbrev=12', rev)
  const runs = (version: string): Promise<boolean> =>
    until(
      `the shop runs ${version}`,
      async () => {
        const found = await versions(viewer)
        return (found.length === 1 && found[0] === version) || Promise.reject(new Error(found.join(' ')))
      },
      60_000,
    )
  const living = (): readonly Peer[] => peers.filter((peer) => peer !== dead)
  let dead: Peer | null = null

  it('is built and released as it is, and again with every push', async () => {
    const given = await a.cli('serve-builds', bare, '--name', 'shop', '--every', '1s')
    assert.equal(given.code, 0, given.stderr)
    const first = repository.git('rev-parse', 'HEAD')
    await released(first)
    await runs(versionOf(first))
    const second = repository.commitShop('next', { environment: 'next' })
    push()
    await released(second)
    await runs(versionOf(second))
    const { stdout } = await a.cli('serve-builds', 'ls')
    assert.match(stdout, /^shop\tmain\t1s\tp\d\twatching\t\S+ released\t/m)
  })

  it('shows a commit that fails, goes on running the last one, and does not try it again unchanged', async () => {
    const running = versionOf('HEAD')
    const broken = repository.commitShop('broken', { build: 'echo cannot link; exit 3' })
    push()
    await until('the failure shows', async () => (await duty()).state === 'failed')
    const { outcome, reason } = await duty()
    assert.equal(outcome?.commit, broken)
    assert.match(reason, /^web: the build of \S+ exited with 3/)
    assert.deepEqual(outcome?.output, ['cannot link'])
    assert.deepEqual(await versions(a), [running])
    const shown = await a.cli('serve-builds', 'ls')
    assert.ok(shown.stdout.includes('cannot link'), shown.stdout)
    const { stdout } = await a.cli('events')
    assert.equal(stdout.split(`building ${broken.slice(0, 12)}`).length, 2, 'built once')
  })

  it('is followed by another peer when the steward is killed in the middle of a build', async () => {
    const gate = join(repository.base, 'gate')
    const commit = repository.commitShop('held up', { build: `until test -e ${gate}; do sleep 0.05; done` })
    push()
    await until('it is being built', async () => (await duty()).state === 'building')
    const { steward } = await duty()
    const victim = peers.find(({ name }) => name === steward)
    assert.ok(victim !== undefined)
    dead = victim
    const [other] = living()
    assert.ok(other !== undefined)
    viewer = other
    await victim.end('SIGKILL')
    await until('another one builds', async () => {
      const now = await duty()
      return now.state === 'building' && now.steward !== victim.name
    })
    repository.write('../gate', '')
    assert.ok(existsSync(gate))
    await released(commit)
    await runs(versionOf(commit))
    await victim.up()
    dead = null
    await fleet.agree(peers, 60_000)
    assert.deepEqual(await versions(viewer), [versionOf(commit)])
  })

  it('is followed no more when the duty is taken back; what runs goes on, and nothing is left on the disks', async () => {
    const running = await versions(viewer)
    const { code, stderr } = await viewer.cli('serve-builds', 'rm', 'shop')
    assert.equal(code, 0, stderr)
    repository.commitShop('unseen')
    push()
    await until('the clones are gone', () =>
      peers.every(({ data }) => !existsSync(join(data, 'builds', 'shop'))),
    )
    assert.deepEqual(await versions(viewer), running)
    const unknown = await viewer.cli('serve-builds', 'rm', 'shop')
    assert.equal(unknown.code, 3)
  })
})
