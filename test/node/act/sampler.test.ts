// The sampler: capacity from files that the test writes, usage of this very process.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { capacityOf, groupUsages, peerUsage } from '../../../node/act/sampler.ts'
import { statOf } from '../../../node/act/drivers/process/identity.ts'

const machine = { cpusMilli: 8000, memoryBytes: 16 * 2 ** 30 }
const files =
  (texts: Readonly<Record<string, string>>) =>
  (path: string): string | null =>
    texts[path] ?? null

describe('capacityOf', () => {
  it('is the machine where no cgroup says less', () => {
    assert.deepEqual(capacityOf(machine, files({})), machine)
    const unlimited = files({
      '/proc/self/cgroup': '4:memory:/\n1:name=systemd:/\n0::/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory.max': 'max\n',
      '/sys/fs/cgroup/cpu.max': 'max 100000\n',
    })
    assert.deepEqual(capacityOf(machine, unlimited), machine)
  })

  it('is the least limit of a cgroup and those above it, in both versions', () => {
    const v2 = files({
      '/proc/self/cgroup': '0::/outer/inner\n',
      '/sys/fs/cgroup/outer/memory.max': '1073741824\n',
      '/sys/fs/cgroup/outer/inner/memory.max': '2147483648\n',
      '/sys/fs/cgroup/outer/inner/cpu.max': '150000 100000\n',
    })
    assert.deepEqual(capacityOf(machine, v2), { cpusMilli: 1500, memoryBytes: 2 ** 30 })
    const v1 = files({
      '/proc/self/cgroup': '3:cpu,cpuacct:/box\n4:memory:/box\n',
      '/sys/fs/cgroup/memory/box/memory.limit_in_bytes': '536870912\n',
      '/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us': '50000\n',
      '/sys/fs/cgroup/cpu/box/cpu.cfs_period_us': '100000\n',
    })
    assert.deepEqual(capacityOf(machine, v1), { cpusMilli: 500, memoryBytes: 2 ** 29 })
  })

  it('reads the real machine', () => {
    const { cpusMilli, memoryBytes } = capacityOf()
    assert.ok(cpusMilli > 0 && memoryBytes > 2 ** 20)
  })
})

describe('usage', () => {
  it('sums a process group, this one for example', () => {
    const group = statOf(process.pid)?.group ?? 0
    const usage = groupUsages(new Set([group])).get(group)
    assert.ok(usage !== undefined && usage.processes >= 1 && usage.memoryBytes > 2 ** 20)
    assert.ok(peerUsage().memoryBytes > 2 ** 20)
  })
})
