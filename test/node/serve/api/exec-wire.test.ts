// The messages of an exec: what is said and heard comes out as it went in, and nothing else is taken.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  decodeHeard,
  decodeOpening,
  decodeSaid,
  encodeHeard,
  encodeOpening,
  encodeSaid,
  OPENING_BYTES_MAX,
  type Heard,
  type Said,
} from '../../../../node/serve/api/exec-wire.ts'

const bytes = fc.uint8Array({ maxLength: 300 })
const side = fc.integer({ min: 1, max: 65_535 })
const name = fc.string({ maxLength: 60 })
const said: fc.Arbitrary<Said> = fc.oneof(
  fc.record({ kind: fc.constant('data' as const), bytes }),
  fc.record({ kind: fc.constant('end' as const) }),
  fc.record({ kind: fc.constant('resize' as const), size: fc.record({ columns: side, rows: side }) }),
  fc.record({ kind: fc.constant('signal' as const), signal: name }),
)
const heard: fc.Arbitrary<Heard> = fc.oneof(
  fc.record({ kind: fc.constant('chosen' as const), slot: name, peer: name, running: fc.nat() }),
  fc.record({ kind: fc.constantFrom('stdout' as const, 'stderr' as const), bytes }),
  fc.record({ kind: fc.constant('exit' as const), code: fc.option(fc.nat(255)), signal: fc.constant(null) }),
  fc.record({ kind: fc.constant('exit' as const), code: fc.constant(null), signal: fc.constant('SIGKILL') }),
  fc.record({ kind: fc.constant('missing' as const), message: name }),
  fc.record({
    kind: fc.constant('failed' as const),
    code: fc.constantFrom('busy' as const, 'unknown' as const),
    message: name,
  }),
)
/** Without prototypes and buffer kinds, which do not matter. */
const plain = (value: Said | Heard): unknown =>
  'bytes' in value ? { kind: value.kind, bytes: [...value.bytes] } : JSON.parse(JSON.stringify(value))

describe('the messages of an exec', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(said, (value) => assert.deepEqual(plain(decodeSaid(encodeSaid(value))), plain(value))),
    )
    fc.assert(
      fc.property(heard, (value) => assert.deepEqual(plain(decodeHeard(encodeHeard(value))), plain(value))),
    )
  })

  it('are read or refused, whatever the bytes are', () => {
    const reads = (decode: (bytes: Uint8Array) => unknown) =>
      fc.property(bytes, (given) => {
        try {
          decode(given)
        } catch (thrown) {
          assert.match(String(thrown), /TuttiError/)
        }
      })
    fc.assert(reads(decodeSaid))
    fc.assert(reads(decodeHeard))
  })

  it('begin with JSON of a bounded size (S14)', () => {
    assert.deepEqual(decodeOpening(encodeOpening({ of: 'shop/web' })), { of: 'shop/web' })
    assert.throws(() => decodeOpening(new Uint8Array(OPENING_BYTES_MAX + 1)), { code: 'too-large' })
    assert.throws(() => decodeOpening(Uint8Array.of(0xff)), { code: 'invalid' })
  })
})
