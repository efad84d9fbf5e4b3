// Metrics: what they say of a snapshot, and that docs/metrics.md lists them all.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createMetrics } from '../../../node/serve/metrics.ts'
import { FakeAgent, service } from './fake-agent.ts'

const LINKS = { accepted: 7, open: 2, withoutEndpoint: 1, unreachable: 3, retries: 4, overLimit: 0 }

const PACKAGES = {
  held: 2,
  short: 0,
  bytes: 4096,
  budgetBytes: 8192,
  fetchedBytes: 512,
  servedBytes: 1024,
  refusedChunks: 1,
}

const world = () => {
  const agent = new FakeAgent()
  agent.apply('shop', [service('web', { replicas: 3 })])
  agent.say(0, 'oak', { 'shop/web/0': { state: 'ready', restarts: 2 }, 'shop/web/1': 'starting' })
  agent.say(1, 'elm', {})
  agent.say(2, 'ash', {}, { digest: 'old' })
  agent.counts = { passes: 5, passMsTotal: 250, gossipIn: 9, storeFailures: 1 }
  const metrics = createMetrics({
    agent,
    version: '1.2.3',
    links: () => LINKS,
    packages: () => PACKAGES,
    process: false,
  })
  const value = async (line: string): Promise<number | undefined> => {
    const found = (await metrics.text()).split('\n').find((text) => text.startsWith(`${line} `))
    return found === undefined ? undefined : Number(found.slice(line.length + 1))
  }
  return { agent, metrics, value }
}

describe('metrics', () => {
  it("are the agent's own counts, in base units", async () => {
    const { agent, value } = world()
    assert.equal(await value('tutti_passes_total'), 5)
    assert.equal(await value('tutti_pass_seconds_total'), 0.25)
    assert.equal(await value('tutti_gossip_in_total'), 9)
    assert.equal(await value('tutti_store_failures_total'), 1)
    agent.counts = { passes: 6 }
    assert.equal(await value('tutti_passes_total'), 6)
  })

  it('tell of the cluster as this peer sees it', async () => {
    const { agent, value } = world()
    assert.equal(await value('tutti_peers{state="alive"}'), 3)
    assert.equal(await value('tutti_peers_agreeing'), 2)
    assert.equal(await value('tutti_settled'), 1)
    assert.equal(await value('tutti_services'), 1)
    agent.states.set(agent.id(1), 'dead')
    assert.equal(await value('tutti_peers{state="dead"}'), 1)
    assert.equal(await value('tutti_peers_agreeing'), 1)
  })

  it("tell of this peer's instances by state, and of its slots", async () => {
    const { agent, value } = world()
    assert.equal(await value('tutti_instances{service="shop/web",state="ready"}'), 1)
    assert.equal(await value('tutti_instances{service="shop/web",state="crashed"}'), 0)
    assert.equal(await value('tutti_instance_restarts{service="shop/web"}'), 2)
    assert.ok(((await value('tutti_placements{service="shop/web"}')) ?? 99) <= 3)
    assert.equal(await value('tutti_unplaceable_slots{service="shop/web"}'), 0)
    agent.apply('shop', [])
    agent.say(0, 'oak', {})
    assert.equal(
      await value('tutti_instances{service="shop/web",state="ready"}'),
      undefined,
      'gone services leave',
    )
    assert.equal(await value('tutti_placements{service="shop/web"}'), undefined)
  })

  it('tell of the links', async () => {
    const { value } = world()
    assert.equal(await value('tutti_link_connections_total'), 7)
    assert.equal(await value('tutti_link_connections'), 2)
    assert.equal(await value('tutti_link_connections_reset_total{reason="unreachable"}'), 3)
  })

  it('tell of the packages', async () => {
    const { value } = world()
    assert.equal(await value('tutti_packages_held'), 2)
    assert.equal(await value('tutti_package_served_bytes_total'), 1024)
    assert.equal(await value('tutti_package_chunks_refused_total'), 1)
  })

  it('follow the naming of Prometheus', async () => {
    for (const { name, type, help } of await world().metrics.described()) {
      assert.match(name, /^tutti_[a-z_]+$/)
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      assert.doesNotMatch(name, /_(ms|milli|kb|mb)(_|$)/)
      assert.notEqual(help, '')
    }
  })

  it('include the process, from the runtime', async () => {
    const text = await createMetrics({ agent: new FakeAgent(), version: '1' }).text()
    assert.match(text, /^process_resident_memory_bytes \d/m)
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m)
    assert.match(text, /^tutti_build_info\{version="1",node="v\d+/m)
  })

  it('are all in docs/metrics.md, and nothing else is', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/metrics.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `(tutti_[a-z_]+)`[^|]*\| (\w+) +\|/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    )
    const real = (await world().metrics.described()).map(({ name, type }) => `${name} ${type}`)
    assert.deepEqual(rows.sort(), real.sort())
  })
})
