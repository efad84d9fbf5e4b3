// The production log, written to memory.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TuttiError } from '../../../lib/errors.ts'
import { createLog, printedError } from '../../../node/serve/logging.ts'

const logged = async (
  options: { readonly pretty: boolean; readonly level?: 'debug' | 'info' },
  use: (log: Awaited<ReturnType<typeof createLog>>) => void,
): Promise<string> => {
  let text = ''
  const log = await createLog({
    ...options,
    colour: false,
    destination: {
      write: (line) => {
        text += line
      },
    },
  })
  use(log)
  return text
}

describe('log', () => {
  it('writes one JSON object a line, with level and time in words', async () => {
    const text = await logged({ pretty: false }, (log) => log.log('warn', 'disk slow', { ms: 12 }))
    const { level, message, ms, time } = JSON.parse(text)
    assert.deepEqual({ level, message, ms }, { level: 'warn', message: 'disk slow', ms: 12 })
    assert.ok(Number.isFinite(Date.parse(time)))
    assert.equal(text.split('\n').length, 2)
  })

  it('drops lines below its level', async () => {
    assert.equal(await logged({ pretty: false }, (log) => log.log('debug', 'x')), '')
    assert.notEqual(await logged({ pretty: false, level: 'debug' }, (log) => log.log('debug', 'x')), '')
  })

  it('prints the chain of causes, with stacks for bugs only', async () => {
    const error = new TuttiError('storage', 'snapshot not written', {
      cause: Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }),
    })
    const text = await logged({ pretty: false }, (log) => log.log('error', 'failed', { error }))
    assert.deepEqual(JSON.parse(text).error, {
      message: 'snapshot not written',
      code: 'storage',
      cause: { message: 'no space left on device', code: 'ENOSPC' },
    })
    assert.match(printedError(new Error('a bug')).stack ?? '', /logging\.test/)
  })

  it('ends a chain that goes in a circle', () => {
    const error = new Error('a')
    error.cause = error
    assert.ok(JSON.stringify(printedError(error)).length < 20_000)
  })

  it('keeps secrets out (S13)', async () => {
    const text = await logged({ pretty: false }, (log) =>
      log.log('info', 'invited', { ticket: 'hush', invite: { secret: 'hush', uses: 1 } }),
    )
    assert.doesNotMatch(text, /hush/)
    assert.equal(JSON.parse(text).invite.uses, 1)
  })

  it('is readable on a terminal, causes included', async () => {
    const text = await logged({ pretty: true }, (log) =>
      log.log('error', 'change refused', {
        error: new TuttiError('refused', 'no', { cause: new Error('why') }),
      }),
    )
    assert.match(text, /ERROR.*change refused/)
    assert.match(text, /why/)
    assert.throws(() => JSON.parse(text))
  })
})
