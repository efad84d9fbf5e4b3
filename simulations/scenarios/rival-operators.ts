// The network splits in the middle, and on both sides somebody repairs the same service.

import { scale } from '../../crdt/edits.ts'
import { serviceIdOf } from '../../lib/ids.ts'
import { CELL } from '../services.ts'
import type { Scenario } from './scenario.ts'
import { program } from './stage.ts'

const web = program('web', { replicas: 2 })

export const rivalOperators: Scenario = {
  name: 'rival-operators',
  fear: 'two operators edit one service on both sides of a split, and the work of one is silently lost',
  machines: 6,
  tell: async (stage) => {
    const [left, right] = [stage.machine(0), stage.machine(5)]
    await stage.deployed(left, web)
    stage.always('every replica of web that both want answers', () => stage.ready('web') >= 2)
    stage.say('the network splits: m0 to m2, m3 to m5')
    const side = (number: number): 'left' | 'right' => (number < 3 ? 'left' : 'right')
    const members = stage.machines.map(({ signer }) => signer.member)
    const heal = stage.scene.lasting(
      stage.scene.links.add({
        concerns: (from, to) => side(members.indexOf(from)) !== side(members.indexOf(to)),
        cut: true,
      }),
    )
    await stage.wait(20_000)
    const scaled = (replicas: number) => (view: ReturnType<typeof stage.view>) =>
      scale(view, serviceIdOf(CELL, 'web'), replicas)
    await stage.edit(left, 'scale web to 5', scaled(5))
    await stage.edit(right, 'scale web to 3', scaled(3))
    // Other fields of the same service are no conflict: both must survive.
    await stage.apply(left, { ...web, replicas: 5, environment: { LEFT: '1' } })
    await stage.apply(right, { ...web, replicas: 3, environment: { RIGHT: '1' } })
    await stage.wait(30_000)
    stage.say('the network is whole again')
    heal()
    await stage.until('everybody agrees', () => stage.agree())
    const service = stage.view(left).services.find(({ name }) => name === 'web')
    stage.expect(
      'web has both variables',
      service?.environment['LEFT'] === '1' && service.environment['RIGHT'] === '1',
    )
    stage.expect('one of both counts of replicas holds', [3, 5].includes(service?.replicas ?? 0))
    stage.expect(
      'the other is shown as a conflict with its author',
      service?.conflicts.some(({ path, author }) => path.endsWith('replicas') && members.includes(author)) ===
        true,
    )
    await stage.until('each slot runs once', () => {
      const slots = stage.living('web').map(({ record }) => record.slot)
      return slots.length === service?.replicas && new Set(slots).size === slots.length
    })
  },
}
