// What is taken out of libp2p's Noise lies in parts that its types do not show. A later version that lacks or changes one
// of them must be noticed here, and not by somebody who wonders why packages have become slow.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Upgrader } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { Uint8ArrayList } from 'uint8arraylist'
import { quickNoise } from '../../../net/libp2p/quick-noise.ts'

type Bytes = Uint8Array | Uint8ArrayList

interface Sealing {
  readonly crypto: {
    readonly encrypt: (text: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
    readonly decrypt: (text: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
  }
}

const made = async (make: ReturnType<typeof noise>): Promise<Sealing['crypto']> => {
  const privateKey = await generateKeyPair('Ed25519')
  const silent = Object.assign(() => undefined, {
    enabled: false,
    error: () => undefined,
    trace: () => undefined,
    newScope: () => silent,
  })
  const encrypter = make({
    privateKey,
    peerId: peerIdFromPrivateKey(privateKey),
    logger: { forComponent: () => silent },
    upgrader: { getStreamMuxers: () => new Map() } as unknown as Upgrader,
  })
  return (encrypter as unknown as Sealing).crypto
}

const flat = (bytes: Bytes): Buffer => Buffer.from(bytes.subarray())

describe('quick Noise', () => {
  it('seals and opens what libp2p opens and sealed, whatever the size and however it is cut', async () => {
    const [ours, theirs] = [await made(quickNoise()), await made(noise())]
    assert.notEqual(ours.encrypt, theirs.encrypt)
    const [key, nonce] = [randomBytes(32), randomBytes(12)]
    for (const size of [0, 1, 1183, 1184, 1200, 4096, 65_519]) {
      const text = randomBytes(size)
      const cut = new Uint8ArrayList(text.subarray(0, size >> 1), text.subarray(size >> 1))
      for (const ad of [new Uint8Array(0), randomBytes(20)]) {
        assert.deepEqual(flat(theirs.decrypt(ours.encrypt(cut, nonce, ad, key), nonce, ad, key)), text)
        assert.deepEqual(flat(ours.decrypt(theirs.encrypt(text, nonce, ad, key), nonce, ad, key)), text)
      }
    }
  })

  it('refuses what is not as it was sealed', async () => {
    const { encrypt, decrypt } = await made(quickNoise())
    const [key, nonce, ad] = [randomBytes(32), randomBytes(12), new Uint8Array(0)]
    const sealed = flat(encrypt(randomBytes(5000), nonce, ad, key))
    for (const at of [0, 2500, sealed.length - 1]) {
      const forged = Uint8Array.from(sealed)
      forged[at] = (forged[at] ?? 0) ^ 1
      assert.throws(() => decrypt(forged, nonce, ad, key))
    }
  })
})
