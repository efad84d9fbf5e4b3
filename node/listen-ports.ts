// The ports of a peer that takes any free one (`--listen …/tcp/0`): the same again at its next start, where they are free.
// The others know a peer by where it was, and when all of them start again at once nobody is left to tell who is where now.

import { textOf, utf8 } from '../lib/bytes.ts'
import { portsOf, portText } from '../lib/port-text.ts'
import { hostPortOf } from '../net/libp2p/addresses.ts'
import type { DataDirectory } from './act/disk/data-directory.ts'
import { checkPort } from './act/ports.ts'

type Small = Pick<DataDirectory, 'readSmall' | 'writeSmall'>

const NAME = 'listen-ports'
/** Addresses that mean every one of their family. */
const ANY = new Set(['0.0.0.0', '::'])

/** What to listen on: each address that asks for any port has the one of last time, unless that is taken by now. */
export const withFormerPorts = async (listen: readonly string[], data: Small): Promise<readonly string[]> => {
  if (!listen.some(asksForAny)) return listen
  const stored = await data.readSmall(NAME)
  const former = portsOf(stored === null ? '' : textOf(stored))
  const chosen: string[] = []
  for (const address of listen) {
    const port = asksForAny(address) ? former.get(address) : undefined
    const isAgain = port !== undefined && (await checkPort(port)) === null
    // The zero is the whole port: a multiaddr may go on behind it.
    chosen.push(isAgain ? address.replace(/\/tcp\/0(?=\/|$)/, `/tcp/${port}`) : address)
  }
  return chosen
}

/** Remembers which ports it got: `listen` as it was asked for, `bound` as others are told. @throws TuttiError `storage`. */
export const rememberPorts = async (
  listen: readonly string[],
  bound: readonly string[],
  data: Small,
): Promise<void> => {
  const ports = listen.filter(asksForAny).flatMap((address) => {
    const port = boundPort(address, bound)
    return port === null ? [] : [[address, port] as const]
  })
  if (ports.length === 0) return
  const text = portText(new Map(ports))
  const before = await data.readSmall(NAME)
  if (before === null || textOf(before) !== text) await data.writeSmall(NAME, utf8(text))
}

const asksForAny = (address: string): boolean => hostPortOf(address)?.port === 0

/** The port of the address among those bound: of the same host, or of any of its family where it asked for all. */
const boundPort = (address: string, bound: readonly string[]): number | null => {
  const asked = hostPortOf(address)?.host ?? ''
  const family = address.split('/')[1]
  const found = bound.find((each) =>
    ANY.has(asked) ? each.split('/')[1] === family : hostPortOf(each)?.host === asked,
  )
  return (found === undefined ? undefined : hostPortOf(found)?.port) ?? null
}
