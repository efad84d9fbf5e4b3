// `tutti doctor` against a peer that says what the test wants, and where no peer runs: tables, the exit code, the matrix.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { asOf, fakePeer, tutti, type FakePeer } from './fake.ts'

const peers: FakePeer[] = []
const scratch = mkdtempSync(join(tmpdir(), 'tutti-doctor-'))
after(async () => {
  for (const peer of peers) await peer.close()
  rmSync(scratch, { recursive: true, force: true })
})

const finding = (level: string, peer = 'a') => ({
  peer,
  level,
  check: 'disk',
  found: `${level} here`,
  advice: level === 'ok' ? '' : 'tutti up again',
})
const link = (from: string, to: string, state: string) => ({ from, to, state, failure: '', tried: [] })

const peerWith = async (...levels: readonly string[]): Promise<FakePeer> => {
  const peer = await fakePeer({
    'GET /v1/doctor': () => ({
      asOf,
      healthy: !levels.includes('fail'),
      findings: levels.map((level) => finding(level)),
      members: [],
      links: [link('a', 'b', 'reaches'), link('b', 'a', levels.includes('fail') ? 'connected' : 'reaches')],
    }),
  })
  peers.push(peer)
  return peer
}

describe('tutti doctor', () => {
  it('exits with 0 for what is well and for warnings', async () => {
    const { code, stdout, stderr } = await tutti(['doctor'], { peer: await peerWith('ok', 'warn') })
    assert.equal(code, 0)
    assert.match(stdout, /^warn\tdisk\twarn here\t.*tutti up again$/m)
    assert.match(stderr, /0 failures, 1 warning/)
  })

  it('exits with 1 for a failure, and shows who reaches whom', async () => {
    const { code, stdout } = await tutti(['doctor'], { peer: await peerWith('ok', 'fail') })
    assert.equal(code, 1)
    assert.match(stdout, /^FROM \\ TO\ta\tb$/m)
    assert.match(stdout, /^b\tone-way\t\.$/m)
  })

  it('puts what to do on a line of its own on a terminal', async () => {
    const { stdout } = await tutti(['doctor'], {
      peer: await peerWith('fail'),
      isTerminal: true,
      environment: { NO_COLOR: '1' },
    })
    assert.match(stdout, /^fail {2}disk {2}fail here\n +→ .*tutti up again$/m)
  })

  it('gives one JSON value, and asks for all machines when told', async () => {
    const peer = await peerWith('ok')
    const { code, stdout } = await tutti(['doctor', '--json', '--all'], { peer })
    assert.equal(code, 0)
    assert.equal((JSON.parse(stdout) as { readonly healthy: boolean }).healthy, true)
    assert.equal(peer.asked[0]?.url.searchParams.get('all'), 'true')
  })

  it('examines the machine alone where no peer runs', async () => {
    const { code, stdout } = await tutti(['doctor', '--json', '--data', join(scratch, 'none')])
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly { readonly check: string }[] }
    assert.equal(code, 0, stdout)
    assert.ok(
      ['peer', 'files', 'cgroups', 'disk', 'ports', 'programs'].every((check) =>
        findings.some((one) => one.check === check),
      ),
    )
  })

  it('fails where the peer that was named does not answer', async () => {
    const { code, stderr } = await tutti(['doctor', '--peer', join(scratch, 'none')])
    assert.equal(code, 1)
    assert.match(stderr, /no peer answers on/)
  })
})
