// Control groups as directories of files: what is written where, for versions that this machine may not have. What only
// a kernel can show is in ../confinement.test.ts.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Cgroups } from '../../../../../../node/act/drivers/process/cgroups/cgroups.ts'
import { isEmpty, oomKillsOf } from '../../../../../../node/act/drivers/process/cgroups/group.ts'
import type { CgroupLayout } from '../../../../../../node/act/drivers/process/cgroups/layout.ts'
import { keepingLog } from '../../../support/bed.ts'
import { systemClock } from '../../../../../../node/clock.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tutti-cgroup-'))
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

const files = (group: string, names: readonly string[]): void => {
  mkdirSync(group, { recursive: true })
  for (const name of names) writeFileSync(join(group, name), '')
}
const text = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8')
/** A hierarchy whose root the peer is in. */
const at = (...path: string[]) => {
  const group = join(root, ...path)
  return { own: group, root: group, options: [] }
}
const open = (layout: CgroupLayout): Cgroups => Cgroups.open(layout, 'tutti-x', systemClock, keepingLog())
const limits = { memoryMaxBytes: 64 * 1024 ** 2, cpusMaxMilli: 500, pidsMax: 20 }

describe('cgroups', () => {
  it('imposes all limits in one group of version 2', async () => {
    files(root, ['cgroup.procs', 'cgroup.subtree_control'])
    writeFileSync(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
    files(join(root, 'tutti-x'), ['cgroup.subtree_control'])
    files(join(root, 'tutti-x', 'run'), ['memory.max', 'memory.swap.max', 'cpu.max', 'pids.max'])
    const cgroups = open({ unified: at(), legacy: new Map() })
    assert.deepEqual(cgroups.resources, ['memory', 'cpu', 'pids'])
    const { groups, missing } = await cgroups.create('run', limits)
    const group = join(root, 'tutti-x', 'run')
    assert.deepEqual([groups, missing], [{ tracking: group, memory: group, join: [group] }, []])
    assert.equal(text('tutti-x', 'run', 'memory.max'), String(64 * 1024 ** 2))
    assert.equal(text('tutti-x', 'run', 'memory.swap.max'), '0')
    assert.equal(text('tutti-x', 'run', 'cpu.max'), '50000 100000')
    assert.equal(text('tutti-x', 'run', 'pids.max'), '21', 'and the shim')
  })

  it('tracks in version 2 and limits in version 1 where a machine has both', async () => {
    for (const name of ['unified', 'memory', 'cpu']) files(join(root, name), [])
    files(join(root, 'memory', 'tutti-x', 'run'), ['memory.limit_in_bytes'])
    files(join(root, 'cpu', 'tutti-x', 'run'), ['cpu.cfs_period_us', 'cpu.cfs_quota_us'])
    const cgroups = open({
      unified: at('unified'),
      legacy: new Map([
        ['memory', at('memory')],
        ['cpu', at('cpu')],
      ]),
    })
    const { groups, missing } = await cgroups.create('run', limits)
    assert.equal(groups.tracking, join(root, 'unified', 'tutti-x', 'run'))
    assert.equal(groups.memory, join(root, 'memory', 'tutti-x', 'run'))
    assert.deepEqual(
      groups.join,
      ['unified', 'memory', 'cpu'].map((name) => join(root, name, 'tutti-x', 'run')),
    )
    assert.deepEqual(missing, ['pids'])
    assert.equal(text('cpu', 'tutti-x', 'run', 'cpu.cfs_quota_us'), '50000')
  })

  it('makes only the tracking group for a run without limits', async () => {
    files(join(root, 'unified'), [])
    files(join(root, 'memory'), [])
    const cgroups = open({ unified: at('unified'), legacy: new Map([['memory', at('memory')]]) })
    const { groups } = await cgroups.create('run', {
      memoryMaxBytes: null,
      cpusMaxMilli: null,
      pidsMax: null,
    })
    assert.deepEqual(groups.join, [join(root, 'unified', 'tutti-x', 'run')])
    assert.equal(groups.memory, null)
    await cgroups.remove(groups)
    assert.ok(!existsSync(join(root, 'unified', 'tutti-x', 'run')))
  })

  it('names every limit as missing where no group may be made', async () => {
    const nowhere = { own: '/proc/none', root: '/proc/none', options: [] }
    const cgroups = open({
      unified: nowhere,
      legacy: new Map([['memory', nowhere]]),
    })
    const { groups, missing } = await cgroups.create('run', limits)
    assert.deepEqual(groups, { tracking: null, memory: null, join: [] })
    assert.deepEqual(missing, ['memory', 'cpu', 'pids'])
  })

  it('lies beside the unit of a service manager, whose own group hands nothing down', async () => {
    const slice = join(root, 'system.slice')
    for (const group of [root, slice, join(slice, 'tutti.service')]) {
      files(group, ['cgroup.procs', 'cgroup.subtree_control'])
      writeFileSync(join(group, 'cgroup.controllers'), 'cpu memory pids\n')
    }
    files(join(slice, 'tutti-x'), ['cgroup.subtree_control'])
    const cgroups = open({
      unified: { own: join(slice, 'tutti.service'), root, options: [] },
      legacy: new Map(),
    })
    const { groups } = await cgroups.create('run', {
      memoryMaxBytes: null,
      cpusMaxMilli: null,
      pidsMax: null,
    })
    assert.equal(groups.tracking, join(slice, 'tutti-x', 'run'))
    assert.deepEqual(cgroups.resources, ['memory', 'cpu', 'pids'])
    assert.equal(text('system.slice', 'tutti.service', 'cgroup.subtree_control'), '')
    assert.ok(!existsSync(join(root, 'tutti-x')))
  })

  it('takes away what it leaves empty of a peer that ran in another group', async () => {
    const cgroups = open({ unified: at('unified'), legacy: new Map() })
    const former = join(root, 'former', 'tutti-x')
    mkdirSync(join(former, 'run'), { recursive: true })
    await cgroups.remove({ tracking: join(former, 'run'), memory: null, join: [join(former, 'run')] })
    cgroups.close()
    assert.ok(!existsSync(former) && existsSync(join(root, 'former')))
  })

  it('sweeps the groups of runs that nobody keeps, and takes its own away when none is left', async () => {
    files(join(root, 'unified'), [])
    const cgroups = open({ unified: at('unified'), legacy: new Map() })
    mkdirSync(join(root, 'unified', 'tutti-x', 'kept'))
    mkdirSync(join(root, 'unified', 'tutti-x', 'left', 'below'), { recursive: true })
    await cgroups.sweep(new Set(['kept']))
    assert.ok(existsSync(join(root, 'unified', 'tutti-x', 'kept')))
    assert.ok(!existsSync(join(root, 'unified', 'tutti-x', 'left')))
    cgroups.close()
    assert.ok(existsSync(join(root, 'unified', 'tutti-x')))
    await cgroups.sweep(new Set())
    cgroups.close()
    assert.ok(!existsSync(join(root, 'unified', 'tutti-x')))
  })
})

describe('a cgroup', () => {
  it('is empty by what version 2 says of everything below it, and when it is gone', async () => {
    writeFileSync(join(root, 'cgroup.events'), 'populated 1\nfrozen 0\n')
    assert.equal(await isEmpty(root), false)
    writeFileSync(join(root, 'cgroup.events'), 'populated 0\nfrozen 0\n')
    assert.equal(await isEmpty(root), true)
    assert.equal(await isEmpty(join(root, 'gone')), true)
  })

  it('is not empty while a group below it in version 1 has a process', async () => {
    files(join(root, 'below'), ['cgroup.procs'])
    writeFileSync(join(root, 'cgroup.procs'), '')
    assert.equal(await isEmpty(root), true)
    writeFileSync(join(root, 'below', 'cgroup.procs'), `${process.pid}\n`)
    assert.equal(await isEmpty(root), false)
  })

  it('counts what the kernel killed for want of memory, in either version', async () => {
    assert.equal(await oomKillsOf(root), 0)
    writeFileSync(join(root, 'memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n')
    assert.equal(await oomKillsOf(root), 2)
    writeFileSync(join(root, 'memory.events'), 'low 0\nmax 9\noom 1\noom_kill 1\n')
    assert.equal(await oomKillsOf(root), 1)
  })
})
