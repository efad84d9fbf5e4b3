// What the members' answers mean together: who is missing, whose clock is off, which versions are mixed, and who reaches
// whom. A link has two directions, and each is judged by the member that would use it; the one-way ones are named. Pure.

import { compareStrings, sortedBy } from '../../lib/order.ts'
import { formatDuration } from '../../lib/time.ts'
import type { MemberAnswer, MemberFacts, Reach } from './facts.ts'
import { fail, finding, ok, warn, type Finding } from './finding.ts'
import { isLoopback, isPrivate, portOf } from './hosts.ts'

// People compare times of two machines by eye; half a second makes them read a story in the wrong order. A minute off, a
// ticket for ten minutes is visibly too short or too long.
const SKEW_WARN_MS = 500
const SKEW_FAIL_MS = 60_000
/** Links named in full; a cable that is out breaks hundreds, and the first few say it. */
const LINKS_NAMED_MAX = 12

/** How well one member reaches another: by an address of its own, only over a connection the other made, or not. */
export type LinkState = 'reaches' | 'connected' | 'cut' | 'unknown'

/** What can be said of the way from one member to another. */
export const linkOf = (from: MemberFacts, to: MemberFacts): LinkState => {
  const reach = reachOf(from, to)
  if (reach === undefined) return 'unknown'
  if (!reach.answered) return 'cut'
  return reach.tried.some(({ failure }) => failure === '') ? 'reaches' : 'connected'
}

const reachOf = (from: MemberFacts, to: MemberFacts): Reach | undefined =>
  from.answer?.reach.find((reach) => reach.to === to.name)

/** Everything about the cluster, in a fixed order. `members` in any. */
export const judgeCluster = (members: readonly MemberFacts[]): readonly Finding[] => {
  const sorted = sortedBy(
    members.filter(({ state }) => state !== 'left'),
    ({ name }) => name,
  )
  return [
    ...judgeMembers(sorted),
    ...judgeVersions(sorted),
    ...judgeSkew(sorted),
    ...judgeAddresses(sorted),
    ...judgeReach(sorted),
  ]
}

const isThere = ({ state }: MemberFacts): boolean => state === 'alive' || state === 'suspect'

const judgeMembers = (members: readonly MemberFacts[]): readonly Finding[] => {
  const findings: Finding[] = []
  const self = members.find((member) => member.self)
  for (const member of members) {
    const { name, state, ageMs, answer, failure } = member
    if (state === 'dead') {
      const tried = self === undefined ? '' : ` (${triedIn(reachOf(self, member))})`
      findings.push(
        fail(
          'members',
          `${name} has been dead for ${formatDuration(Math.round(ageMs))}${tried}`,
          `start its peer, or tutti peers rm ${name} when it is gone for good`,
        ),
      )
    } else if (answer === null) {
      findings.push(
        fail(
          'members',
          `${name} is ${state} but could not be asked: ${failure}`,
          'look at reach below, and at its log',
        ),
      )
    }
  }
  if (findings.length > 0) return findings
  return [
    ok(
      'members',
      members.length === 1 ? 'this peer is the only member' : `all ${members.length} alive and answering`,
    ),
  ]
}

/** Values with the names of those that have each, sorted. */
const grouped = (
  members: readonly MemberFacts[],
  valueOf: (answer: MemberAnswer) => string,
): readonly (readonly [string, readonly string[]])[] => {
  const groups = new Map<string, string[]>()
  for (const { name, answer } of members) {
    if (answer === null) continue
    const value = valueOf(answer)
    groups.set(value, [...(groups.get(value) ?? []), name])
  }
  return [...groups].sort(([a], [b]) => compareStrings(a, b))
}

const inWords = (groups: readonly (readonly [string, readonly string[]])[]): string =>
  groups.map(([value, names]) => `${value} on ${names.join(', ')}`).join('; ')

const judgeVersions = (members: readonly MemberFacts[]): readonly Finding[] => {
  const versions = grouped(members, ({ version }) => version)
  const formats = grouped(members, ({ documentFormat }) => String(documentFormat))
  const placements = grouped(members, ({ placementVersion }) => String(placementVersion))
  const findings: Finding[] = []
  if (versions.length > 1) {
    findings.push(
      warn(
        'versions',
        `tutti ${inWords(versions)}`,
        'finish the upgrade: a peer that restarts keeps its instances running',
      ),
    )
  }
  if (formats.length > 1) {
    findings.push(
      warn(
        'versions',
        `log format ${inWords(formats)}`,
        'an older tutti cannot read the data of a newer one: do not go back',
      ),
    )
  }
  if (placements.length > 1) {
    findings.push(
      warn(
        'versions',
        `placement version ${inWords(placements)}; the lowest is in force`,
        'finish the upgrade: what the newer one can do waits for the last peer',
      ),
    )
  }
  if (findings.length > 0) return findings
  const [version] = versions
  const [format] = formats
  const [placement] = placements
  if (version === undefined || format === undefined || placement === undefined) return []
  const nodes = grouped(members, ({ node }) => node).map(([node]) => node)
  return [
    ok(
      'versions',
      `tutti ${version[0]}, log format ${format[0]}, placement version ${placement[0]}, Node.js ${nodes.join(' and ')}`,
    ),
  ]
}

const judgeSkew = (members: readonly MemberFacts[]): readonly Finding[] => {
  const findings: Finding[] = []
  let worst = 0
  let measured = 0
  for (const { name, clock } of members) {
    if (clock === null) continue
    measured += 1
    // Only what the round trip cannot explain.
    const skewMs = Math.max(0, Math.abs(clock.offsetMs) - clock.errorMs)
    worst = Math.max(worst, skewMs)
    if (skewMs < SKEW_WARN_MS) continue
    findings.push(
      finding(
        skewMs >= SKEW_FAIL_MS ? 'fail' : 'warn',
        'skew',
        `the clock of ${name} is ${formatDuration(Math.round(Math.abs(clock.offsetMs)))} ${clock.offsetMs > 0 ? 'ahead of' : 'behind'} this one's`,
        'turn on NTP on both; logs and events of several machines are merged by time, and tickets expire by it',
      ),
    )
  }
  if (findings.length > 0 || measured === 0) return findings
  return [
    ok(
      'skew',
      `clocks of ${measured === 1 ? 'one other member' : `${measured} other members`} agree within ${Math.max(1, Math.round(worst))} ms`,
    ),
  ]
}

/** Addresses that cannot work between machines, whatever the network. */
const judgeAddresses = (members: readonly MemberFacts[]): readonly Finding[] => {
  const answers = members.flatMap(({ name, answer }) => (answer === null ? [] : [{ name, answer }]))
  const machines = new Set(answers.map(({ answer }) => answer.machine))
  const isFar = ({ addresses }: MemberAnswer): boolean => addresses.some((address) => !isLoopback(address))
  const findings: Finding[] = []
  for (const { name, answer } of answers) {
    const { addresses } = answer
    // Hosts of one machine may still be far apart: containers, network namespaces.
    const hasFarOthers = answers.some(
      (other) => other.name !== name && (other.answer.machine !== answer.machine || isFar(other.answer)),
    )
    if (addresses.length > 0 && !isFar(answer) && hasFarOthers) {
      findings.push(
        warn(
          'addresses',
          `${name} listens on loopback only (${addresses.map(short).join(', ')}), and others are elsewhere`,
          `restart it with --listen /ip4/0.0.0.0/tcp/${portOf(addresses[0] ?? '') ?? 7701}`,
        ),
      )
    } else if (
      machines.size > 1 &&
      isFar(answer) &&
      addresses.every((address) => isPrivate(address)) &&
      answers.some((other) =>
        other.answer.addresses.some((address) => !isPrivate(address) && !isLoopback(address)),
      )
    ) {
      findings.push(
        warn(
          'addresses',
          `${name} has private addresses only (${addresses.map(short).join(', ')}), and others have public ones: it may be behind NAT`,
          'join them by a VPN, or forward a port and have it listen on the public address',
        ),
      )
    }
  }
  return findings
}

/** Without `/p2p/…`, which tells a person nothing. */
const short = (address: string): string => address.replace(/\/p2p\/.*$/, '')

const triedIn = (reach: Reach | undefined): string => {
  if (reach === undefined) return 'not tried'
  const failed = reach.tried.filter(({ failure }) => failure !== '')
  const addresses = failed.map(({ address, failure }) => `${short(address)} ${failure}`)
  if (addresses.length > 0) return addresses.join(', ')
  return reach.failure === '' ? 'no address is known' : reach.failure
}

const judgeReach = (members: readonly MemberFacts[]): readonly Finding[] => {
  const findings: Finding[] = []
  let links = 0
  members.forEach((a, at) => {
    for (const b of members.slice(at + 1)) {
      links += 2
      findings.push(...judgePair(a, b))
    }
  })
  if (members.length < 2) return []
  if (findings.length === 0) return [ok('reach', `every member reaches every other (${links} ways)`)]
  if (findings.length <= LINKS_NAMED_MAX) return findings
  const more = findings.length - LINKS_NAMED_MAX
  return [
    ...findings.slice(0, LINKS_NAMED_MAX),
    fail(
      'reach',
      `${more} more pairs of members do not reach each other both ways`,
      'tutti doctor --json has the whole matrix',
    ),
  ]
}

const judgePair = (a: MemberFacts, b: MemberFacts): readonly Finding[] => {
  const [there, back] = [linkOf(a, b), linkOf(b, a)]
  // What is dead has been said; nobody is expected to reach it.
  if (!isThere(a) || !isThere(b)) return []
  const opens = (to: MemberFacts): string =>
    `open TCP port ${portOf(to.answer?.addresses[0] ?? '') ?? 7701} of ${to.name}, and its instances' ports, to the other machine`
  if (there === 'reaches' && back === 'reaches') return []
  if (there === 'reaches' && back !== 'unknown') return [oneWay(a, b, opens(a))]
  if (back === 'reaches' && there !== 'unknown') return [oneWay(b, a, opens(b))]
  if (there === 'unknown' && back === 'unknown') {
    return [
      warn(
        'reach',
        `nobody could say whether ${a.name} and ${b.name} reach each other`,
        'ask again, or ask one of the two',
      ),
    ]
  }
  if (there === 'unknown' || back === 'unknown') {
    const [from, to] = there === 'unknown' ? [b, a] : [a, b]
    if (linkOf(from, to) === 'reaches') {
      return [
        warn(
          'reach',
          `${from.name} reaches ${to.name}; the way back is unknown, since ${to.name} could not be asked`,
          `run tutti doctor on ${to.name}`,
        ),
      ]
    }
    return [
      fail(
        'reach',
        `${from.name} does not reach ${to.name} (${triedIn(reachOf(from, to))}); ${to.name} could not be asked about the way back`,
        opens(to),
      ),
    ]
  }
  return [
    fail(
      'reach',
      `${a.name} and ${b.name} do not reach each other (${a.name}: ${triedIn(reachOf(a, b))}; ${b.name}: ${triedIn(reachOf(b, a))})`,
      'look at cables, routes and firewalls between them; documents still travel by way of the others',
    ),
  ]
}

/** `from` reaches `to` and not the other way round. */
const oneWay = (from: MemberFacts, to: MemberFacts, advice: string): Finding =>
  fail(
    'reach',
    `one way only: ${from.name} reaches ${to.name}, but ${to.name} does not reach ${from.name} (${triedIn(reachOf(to, from))})`,
    advice,
  )
