// Limits, user and isolation of a service in a cell file.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { service, itSays } = cellDirectory()

describe('confinement in a cell file', () => {
  it("reads limits, user and isolation under Compose's names", () => {
    const spec = service(
      'deploy: { resources: { limits: { memory: 64M, cpus: "0.5", pids: 20 } } }\nulimits: { nofile: 1024 }\nuser: "www:adm"\nisolation: sandbox',
    )
    const { memoryMaxBytes, cpusMaxMilli, pidsMax, openFilesMax, user, isolation } = spec
    assert.deepEqual(
      [memoryMaxBytes, cpusMaxMilli, pidsMax, openFilesMax, user, isolation],
      [64 * 1024 ** 2, 500, 20, 1024, 'www:adm', 'sandbox'],
    )
    assert.equal(service('pids_limit: -1').pidsMax, null)
    assert.equal(service('pids_limit: 7').pidsMax, 7)
    assert.equal(service('isolation: default').isolation, 'none')
    assert.equal(service('ulimits: { nofile: { soft: 10, hard: 20 } }').openFilesMax, 20)
  })

  itSays([
    [web('user: "a b"'), ["5:11: services.web.user: 'a b' is not a user; write NAME, UID or UID:GID"]],
    [
      web('isolation: hyperv'),
      ["5:16: services.web.isolation must be one of none, sandbox, default, not 'hyperv'"],
    ],
    [
      web('ulimits: { nofile: 1 }'),
      ["5:24: services.web.ulimits.nofile must be a whole number from 3 to 1073741824, not '1'"],
    ],
    [
      web('ulimits: { nproc: 1 }'),
      [
        '5:16: services.web.ulimits.nproc: only nofile is offered; set others in the command, as in sh -c "ulimit -c 0; exec server"',
      ],
    ],
  ])
})
