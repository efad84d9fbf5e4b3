// `environment` and `env_file` of a cell file, and the variables that are replaced throughout it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { service, itSays } = cellDirectory()

describe('environment in a cell file', () => {
  it('reads an environment list, with names taken from the shell', () => {
    const { environment } = service('environment: [A=1, B=x=y, FROM_SHELL, NOT_SET]', { FROM_SHELL: 's' })
    assert.deepEqual(environment, { A: '1', B: 'x=y', FROM_SHELL: 's' })
  })

  it('reads env files under the environment', () => {
    assert.deepEqual(service('env_file: web.env\nenvironment: { A: own }').environment, {
      A: 'own',
      B: 'two words',
      C: '3',
    })
    assert.deepEqual(service('env_file: [{ path: none.env, required: false }]').environment, {})
  })

  it('replaces variables, the shell before .env', () => {
    const lines =
      'environment: { A: "${FROM_DOT_ENV}", B: "$BOTH", C: "${NONE:-c}", D: "$$x" }\ndeploy: { replicas: "${N}" }'
    const spec = service(lines, { BOTH: 'shell', N: '4' })
    assert.deepEqual([spec.environment, spec.replicas], [{ A: 'dot', B: 'shell', C: 'c', D: '$x' }, 4])
  })

  itSays([
    [web('env_file: nope.env'), ['5:15: services.web.env_file: file nope.env does not exist']],
    [
      web('environment: { A-B: 1 }'),
      ["5:20: services.web.environment: 'A-B' is not a variable's name; use letters, digits and _"],
    ],
    [
      web('environment: { TUTTI_X: 1 }'),
      ['5:20: services.web.environment: TUTTI_X is set by tutti; choose another name'],
    ],
    [web('environment: { A: [1] }'), ['5:23: services.web.environment.A must be one value, not a list']],
    [
      web('environment: { A: "${X:?say where}" }'),
      [
        '5:23: services.web.environment.A: variable X is not set: say where; set it in the environment or in .env',
      ],
    ],
  ])
})
