// Signatures: a member id is a key, libp2p agrees, and malformed input is false rather than an exception.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { encodeBase58 } from '../../lib/base58.ts'
import { toHex, fromHex } from '../../lib/bytes.ts'
import type { MemberId } from '../../lib/ids.ts'
import {
  isMemberId,
  keepVerdicts,
  keyOfMemberId,
  memberIdOfKey,
  signerFromSeed,
  verifySignature,
} from '../../lib/signature.ts'

const seedOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('member ids', () => {
  it('are their key', () => {
    fc.assert(
      fc.property(bytes32, (key) => {
        const member = memberIdOfKey(key)
        assert.match(member, /^12D3KooW/)
        assert.deepEqual(new Uint8Array(keyOfMemberId(member)), key)
      }),
      { numRuns: 100 },
    )
  })

  it('are the peer ids that libp2p makes of the same seed', async () => {
    for (const byte of [0, 1, 7, 255]) {
      const key = await generateKeyPairFromSeed('Ed25519', seedOf(byte))
      const signer = signerFromSeed(seedOf(byte))
      assert.equal(signer.member, peerIdFromPrivateKey(key).toString())
      const message = Uint8Array.of(1, 2, 3)
      assert.deepEqual(signer.sign(message), new Uint8Array(await key.sign(message)))
    }
  })

  it('are refused when they are not the identity of an Ed25519 key', () => {
    const { member } = signerFromSeed(seedOf(1))
    const key = keyOfMemberId(member)
    const foreign: readonly string[] = [
      '',
      'not base58!',
      member.slice(1),
      `${member}1`,
      `1${member}`,
      encodeBase58(key),
      encodeBase58(Uint8Array.from([0x00, 0x24, 0x08, 0x02, 0x12, 0x20, ...key])),
      // An RSA peer id: a hash, from which no key can be read.
      'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
    ]
    for (const text of foreign) {
      assert.equal(isMemberId(text), false, text)
      assert.throws(() => keyOfMemberId(text as MemberId), { code: 'invalid' }, text)
    }
    assert.equal(isMemberId(member), true)
  })
})

describe('signatures', () => {
  it('agree with RFC 8032, test 2', () => {
    const signer = signerFromSeed(fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'))
    assert.equal(
      toHex(keyOfMemberId(signer.member)),
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    )
    assert.equal(
      toHex(signer.sign(Uint8Array.of(0x72))),
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    )
  })

  it('hold for the signer and the bytes, and for nothing else', () => {
    const [one, two] = [signerFromSeed(seedOf(1)), signerFromSeed(seedOf(2))]
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), fc.nat(), (message, at) => {
        const signature = one.sign(message)
        assert.equal(verifySignature(one.member, message, signature), true)
        assert.equal(verifySignature(two.member, message, signature), false)
        const other = message.map((byte, index) => (index === at % message.length ? byte ^ 1 : byte))
        assert.equal(verifySignature(one.member, other, signature), false)
        const bent = signature.map((byte, index) => (index === at % 64 ? byte ^ 0x40 : byte))
        assert.equal(verifySignature(one.member, message, bent), false)
      }),
      { numRuns: 40 },
    )
  })

  it('are false, never a throw, on malformed input', () => {
    const signer = signerFromSeed(seedOf(3))
    const message = Uint8Array.of(9)
    const signature = signer.sign(message)
    for (const wrong of [new Uint8Array(), signature.slice(1), new Uint8Array(65), new Uint8Array(64)])
      assert.equal(verifySignature(signer.member, message, wrong), false)
    for (const wrong of ['', '0OIl', 'a', signer.member.slice(2)])
      assert.equal(verifySignature(wrong as MemberId, message, signature), false)
  })

  it('fit a view into a larger buffer', () => {
    const signer = signerFromSeed(seedOf(4))
    const whole = Uint8Array.of(1, 2, 3, 4, 5)
    assert.equal(verifySignature(signer.member, Uint8Array.of(2, 3), signer.sign(whole.subarray(1, 3))), true)
  })
})

describe('kept verdicts', () => {
  it('are those that were not kept, for every part of the question, also when old ones go', () => {
    const signer = signerFromSeed(seedOf(3))
    const other = signerFromSeed(seedOf(4))
    const message = Uint8Array.of(1, 2, 3)
    const signature = signer.sign(message)
    keepVerdicts(2)
    for (let time = 0; time < 3; time += 1) {
      assert.equal(verifySignature(signer.member, message, signature), true)
      assert.equal(verifySignature(other.member, message, signature), false)
      assert.equal(verifySignature(signer.member, Uint8Array.of(1, 2, 4), signature), false)
      assert.equal(verifySignature(signer.member, message, other.sign(message)), false)
      assert.equal(verifySignature(signer.member, message, new Uint8Array()), false)
    }
    keepVerdicts(0)
    assert.equal(verifySignature(signer.member, message, signature), true)
  })
})
