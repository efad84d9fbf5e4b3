import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { basesOf, layoutOf } from '../../../../../../node/act/drivers/process/cgroups/layout.ts'

describe('cgroup layout', () => {
  it('finds the unified hierarchy of a machine with version 2 alone', () => {
    const { unified, legacy } = layoutOf(
      '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n',
      '0::/system.slice/tutti.service\n',
    )
    assert.deepEqual(unified, {
      own: '/sys/fs/cgroup/system.slice/tutti.service',
      root: '/sys/fs/cgroup',
      options: ['rw', 'nsdelegate'],
    })
    assert.equal(legacy.size, 0)
  })

  it('finds both versions of a hybrid machine, each with its own group', () => {
    const { unified, legacy } = layoutOf(
      [
        '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
        '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
        '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
        '37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer',
        '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
      ].join('\n'),
      '6:freezer:/\n4:memory:/box/a1\n1:cpu,cpuacct:/\n0::/\n',
    )
    assert.deepEqual(unified, {
      own: '/sys/fs/cgroup/unified',
      root: '/sys/fs/cgroup/unified',
      options: ['rw'],
    })
    assert.equal(legacy.get('memory')?.own, '/sys/fs/cgroup/memory/box/a1')
    assert.equal(legacy.get('cpu')?.own, '/sys/fs/cgroup/cpu,cpuacct')
    assert.equal(legacy.get('freezer')?.own, '/sys/fs/cgroup/freezer')
    assert.equal(legacy.get('pids'), undefined)
  })

  it('takes the mount point where only a part of the hierarchy is mounted, as in a container', () => {
    const mount = '30 23 0:26 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup rw\n'
    assert.equal(layoutOf(mount, '0::/docker/ab\n').unified?.own, '/sys/fs/cgroup')
    assert.equal(layoutOf(mount, '0::/docker/ab/x\n').unified?.own, '/sys/fs/cgroup/x')
    assert.equal(layoutOf(mount, '0::/docker/abc\n').unified?.own, '/sys/fs/cgroup')
    assert.equal(layoutOf(mount, '0::/../elsewhere\n').unified?.own, '/sys/fs/cgroup')
  })

  it('takes the later of two mounts at one point, which hides the other', () => {
    const mounts = [
      '30 23 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup rw',
      '31 30 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw',
    ]
    for (const mountinfo of [mounts.join('\n'), mounts.toReversed().join('\n')])
      assert.equal(layoutOf(mountinfo, '0::/system.slice\n').unified?.own, '/sys/fs/cgroup/system.slice')
  })

  it('reads paths with blanks, and finds nothing where nothing is mounted', () => {
    const mount = '30 23 0:26 / /mnt/c\\040g rw - cgroup2 cgroup rw\n'
    assert.equal(layoutOf(mount, '0::/\n').unified?.own, '/mnt/c g')
    assert.deepEqual(layoutOf('', '0::/\n').unified, null)
  })
})

describe('where a peer makes its groups', () => {
  const root = '/sys/fs/cgroup'
  const tried = (own: string) =>
    basesOf({ own: `${root}${own}`, root }).map(({ group, isOwn, mayLimit }) =>
      [group.slice(root.length), ...(isOwn ? ['own'] : []), ...(mayLimit ? [] : ['tracks'])].join(' '),
    )

  it('is beside a unit, and below it only to track: systemd puts the restarted peer into the unit itself (S10)', () => {
    assert.deepEqual(tried('/system.slice/tutti.service'), [
      '/system.slice',
      '',
      '/system.slice/tutti.service own tracks',
    ])
    assert.deepEqual(tried('/tutti.service'), ['', '/tutti.service own tracks'])
    assert.deepEqual(
      tried('/user.slice/user-1.slice/user@1.service/app.slice/tutti.service').at(0),
      '/user.slice/user-1.slice/user@1.service/app.slice',
    )
  })

  it('is below the group it was started in elsewhere, and else at the top', () => {
    assert.deepEqual(tried('/user.slice/session-3.scope'), ['/user.slice/session-3.scope own', ''])
    assert.deepEqual(tried(''), [' own'])
  })

  it('is where it was after the peer has moved itself out of the way', () => {
    assert.deepEqual(tried('/box/tutti-peer'), ['/box own', ''])
  })
})
