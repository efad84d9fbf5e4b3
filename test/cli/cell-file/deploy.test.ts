// `deploy` of a cell file, and the older keys that say the same. The stages of a rollout are in rollout.test.ts.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { service, itSays } = cellDirectory()

describe('deploy in a cell file', () => {
  it('reads the older resource keys, scale and preferences', () => {
    const spec = service(
      'cpus: 0.5\nmem_limit: 64m\nmem_reservation: 32m\nscale: 2\ndeploy: { placement: { preferences: [{ spread: node.labels.rack }] } }',
    )
    assert.deepEqual(
      [spec.cpusMaxMilli, spec.memoryMaxBytes, spec.reservedMemoryBytes, spec.replicas, spec.spread],
      [500, 64 * 1024 ** 2, 32 * 1024 ** 2, 2, 'node.labels.rack'],
    )
  })

  itSays([
    [
      web('deploy: { resources: { reservations: { pids: 5 } } }'),
      [
        '5:44: services.web.deploy.resources.reservations.pids: processes are limited and not reserved; move it to limits',
      ],
    ],
    [
      web('on_partition: quorum\n    deploy: { update_config: { order: start-first } }'),
      [
        '6:32: services.web.deploy.update_config.order: two runs of a quorum slot never overlap; remove it or write stop-first',
      ],
    ],
    [web('scale: -1'), ["5:12: services.web.scale must be a whole number from 0 to 2000, not '-1'"]],
    [
      web('deploy: { replicas: 2, mode: global }'),
      ['5:15: services.web.deploy.replicas: a global service runs once on every peer; remove the number'],
    ],
    [
      web('deploy: { replica: 2 }'),
      ['5:15: services.web.deploy.replica is not a known key; did you mean replicas?'],
    ],
    [
      web('deploy: { replicas: 2 }\n    scale: 3'),
      ['6:5: services.web.scale is 3 and services.web.deploy.replicas is 2; keep one of them'],
    ],
    [
      web('deploy: { update_config: { max_failure_ratio: 0.5 } }'),
      [
        '5:32: services.web.deploy.update_config.max_failure_ratio: one failed instance is enough to judge a release; remove it',
      ],
    ],
    [
      web('deploy: { placement: { constraints: [zone=a] } }'),
      [
        '5:42: services.web.deploy.placement.constraints: \'zone=a\' is not a constraint; write for example "node.labels.zone == eu-1"',
      ],
    ],
    [
      web('deploy: { placement: { spread: zone } }'),
      [
        "5:36: services.web.deploy.placement.spread: 'zone' is not a label; write for example node.labels.zone",
      ],
    ],
    [
      web('deploy: { resources: { limits: { memory: lots } } }'),
      [
        "5:46: services.web.deploy.resources.limits.memory: 'lots' is not a size; write for example 64M or 1G",
      ],
    ],
    [
      web('deploy: { resources: { limits: { cpus: lots } } }'),
      [
        '5:44: services.web.deploy.resources.limits.cpus: \'lots\' is not a number of CPUs; write for example "0.25" or 2',
      ],
    ],
    [web('deploy: 3'), ['5:13: services.web.deploy must be a map of keys and values']],
  ])
})
