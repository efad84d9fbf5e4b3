// Addresses as text: reading the host out of a multiaddr, making sure that it names the member it is dialled for, and
// ordering the ones a peer listens on. Works on the text alone and imports no libp2p, so that any shell may use it.

import { isIP } from 'node:net'
import type { MemberId } from '../../lib/ids.ts'

export interface HostPort {
  /** An IPv4 or IPv6 address without brackets, or a DNS name. */
  readonly host: string
  readonly port: number
}

/** Host and TCP port of a multiaddr; null for anything that is not TCP over IP or DNS. */
export const hostPortOf = (address: string): HostPort | null => {
  const [, kind, host, protocol, portText] = address.split('/')
  if (kind === undefined || host === undefined || protocol !== 'tcp') return null
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText ?? '') || port > 65_535) return null
  if (kind === 'ip4') return isIP(host) === 4 ? { host, port } : null
  if (kind === 'ip6') return isIP(host) === 6 ? { host, port } : null
  return /^dns[46]?$/.test(kind) && host !== '' ? { host, port } : null
}

/** The host within a multiaddr, for reaching an instance of that peer; null when there is none. */
export const hostOfAddress = (address: string): string | null => hostPortOf(address)?.host ?? null

/** The member that a multiaddr names with `/p2p/`; null when it names none. */
export const memberOfAddress = (address: string): MemberId | null => {
  const match = /\/p2p\/([^/]+)$/.exec(address)
  return match?.[1] === undefined ? null : (match[1] as MemberId)
}

/** The address with `/p2p/<member>`; null when it names somebody else or cannot be dialled over TCP. */
export const addressFor = (member: MemberId, address: string): string | null => {
  if (hostPortOf(address) === null) return null
  const named = memberOfAddress(address)
  if (named === null) return `${address}/p2p/${member}`
  return named === member ? address : null
}

const isLoopback = (address: string): boolean => {
  const host = hostOfAddress(address)
  return host !== null && (host === '::1' || host.startsWith('127.'))
}

const isLinkLocal = (address: string): boolean => /^(fe80:|169\.254\.)/i.test(hostOfAddress(address) ?? '')

/**
 * Which of its own addresses a peer tells others, best first: IPv4 before IPv6, neither link-local (it needs an
 * interface name that differs per machine) nor loopback, unless there is nothing else.
 */
export const announcedAddresses = (listening: readonly string[]): readonly string[] => {
  const dialable = [...new Set(listening)].filter((address) => hostPortOf(address) !== null)
  const far = dialable.filter((address) => !isLoopback(address) && !isLinkLocal(address))
  const told = far.length > 0 ? far : dialable.filter(isLoopback)
  const rank = (address: string): number => (address.startsWith('/ip6/') ? 1 : 0)
  // A stable sort: the order of the interfaces stays.
  return told.toSorted((a, b) => rank(a) - rank(b))
}
