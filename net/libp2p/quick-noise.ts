// Noise as libp2p brings it, with three costs taken out of what every frame of every connection passes. libp2p hands the
// session's key to Node.js as bytes, which makes a key object of them for each frame, with two errors thrown and caught on the
// way; here it is made once. Its decoder of lengths throws a new error, with its stack, whenever a read ends where a frame
// does. And each frame is written to its socket in four pieces, each a system call and a packet. Nothing that is sent is
// different.

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { noise } from '@libp2p/noise'
import { Uint8ArrayList } from 'uint8arraylist'

type Bytes = Uint8Array | Uint8ArrayList

/** What of libp2p's Noise is not in its types; the version is pinned, and a missing part changes nothing. */
interface NoiseInside {
  readonly crypto?: {
    encrypt: (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array) => Bytes
    decrypt: (
      ciphertext: Bytes,
      nonce: Uint8Array,
      ad: Uint8Array,
      key: Uint8Array,
      target?: Uint8Array,
    ) => Bytes
  }
}

interface SecuredInside {
  readonly decoder?: { lengthDecoder?: (data: Bytes) => number }
  readonly stream?: {
    readonly socket?: { cork: () => void; uncork: () => void }
    sendData?: (data: Uint8ArrayList) => unknown
  }
}

const ALGORITHM = 'chacha20-poly1305'
const TAG_BYTES = 16
/** Below it libp2p's WebAssembly is quicker than a call of OpenSSL. */
const OPENSSL_BYTES_MIN = 1200
const TOO_SHORT = new RangeError('the length of a frame has not arrived')

/** Session keys as Node.js wants them, for as long as the session lives. */
const keys = new WeakMap<Uint8Array, KeyObject>()

const keyOf = (bytes: Uint8Array): KeyObject => {
  const known = keys.get(bytes)
  if (known !== undefined) return known
  const key = createSecretKey(bytes)
  keys.set(bytes, key)
  return key
}

const piecesOf = (bytes: Bytes): Iterable<Uint8Array> => (bytes instanceof Uint8Array ? [bytes] : bytes)

const seal = (plaintext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Bytes => {
  const cipher = createCipheriv(ALGORITHM, keyOf(key), nonce, { authTagLength: TAG_BYTES })
  if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
  const sealed = new Uint8ArrayList()
  for (const piece of piecesOf(plaintext)) sealed.append(cipher.update(piece))
  cipher.final()
  sealed.append(cipher.getAuthTag())
  return sealed
}

/** @throws when the bytes are not what was sent. */
const open = (ciphertext: Bytes, nonce: Uint8Array, ad: Uint8Array, key: Uint8Array): Bytes => {
  const length = ciphertext.byteLength - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, keyOf(key), nonce, { authTagLength: TAG_BYTES })
  if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: length })
  decipher.setAuthTag(ciphertext.subarray(length))
  const opened = new Uint8ArrayList()
  const text =
    ciphertext instanceof Uint8Array ? ciphertext.subarray(0, length) : ciphertext.sublist(0, length)
  for (const piece of piecesOf(text)) opened.append(decipher.update(piece))
  decipher.final()
  return opened
}

const lengthOf = (data: Bytes): number => {
  if (data.length < 2) throw TOO_SHORT
  return data instanceof Uint8Array
    ? ((data[0] ?? 0) << 8) | (data[1] ?? 0)
    : (data.get(0) << 8) | data.get(1)
}

/** The encrypter for `connectionEncrypters`. */
export const quickNoise = (): ReturnType<typeof noise> => (components) => {
  const encrypter = noise()(components)
  const { crypto } = encrypter as unknown as NoiseInside
  if (crypto !== undefined) {
    const { encrypt, decrypt } = crypto
    crypto.encrypt = (plaintext, nonce, ad, key) =>
      (plaintext.byteLength < OPENSSL_BYTES_MIN ? encrypt : seal)(plaintext, nonce, ad, key)
    crypto.decrypt = (ciphertext, nonce, ad, key, target) =>
      ciphertext.byteLength < OPENSSL_BYTES_MIN
        ? decrypt(ciphertext, nonce, ad, key, target)
        : open(ciphertext, nonce, ad, key)
  }
  const secureInbound = encrypter.secureInbound.bind(encrypter)
  const secureOutbound = encrypter.secureOutbound.bind(encrypter)
  encrypter.secureInbound = async (...of) => trimmed(await secureInbound(...of))
  encrypter.secureOutbound = async (...of) => trimmed(await secureOutbound(...of))
  return encrypter
}

const trimmed = <S extends { readonly connection: object }>(secured: S): S => {
  const { decoder, stream } = secured.connection as SecuredInside
  if (decoder?.lengthDecoder !== undefined) decoder.lengthDecoder = lengthOf
  const socket = stream?.socket
  const sendData = stream?.sendData?.bind(stream)
  if (stream === undefined || socket === undefined || sendData === undefined) return secured
  let isCorked = false
  stream.sendData = (data) => {
    if (!isCorked) {
      isCorked = true
      socket.cork()
      // Whatever else is sent in this turn goes with it, in one system call.
      process.nextTick(() => {
        isCorked = false
        socket.uncork()
      })
    }
    return sendData(data)
  }
  return secured
}
