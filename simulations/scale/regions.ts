// Where the machines of a scale run are, and how far apart. Six Azure regions with the median round trips that Microsoft
// publishes: "Azure network round-trip latency statistics", P50 over 30 days, page of 21 July 2023
// (https://learn.microsoft.com/azure/networking/azure-network-latency). Bandwidth and loss are not modelled.

import type { LinkConditions } from '../network.ts'

export const REGIONS = [
  'West US 2',
  'Canada Central',
  'West Europe',
  'Japan East',
  'Australia East',
  'Brazil South',
] as const

/** Round trips between two of them, milliseconds; the half below the diagonal is its mirror. */
const ROUND_TRIPS_MS: readonly (readonly number[])[] = [
  [0, 64, 145, 99, 160, 182],
  [64, 0, 97, 154, 197, 129],
  [145, 97, 0, 219, 239, 183],
  [99, 154, 219, 0, 101, 275],
  [160, 197, 239, 101, 0, 319],
  [182, 129, 183, 275, 319, 0],
]
/** Between two machines of one region: two zones of a city. */
const NEAR_MS = 2
/** A message takes up to this share longer than half the round trip. */
const JITTER = 0.1

/** Machines are dealt out to the regions in turn. */
export const regionOf = (machine: number): number => machine % REGIONS.length

/** One direction between two machines, by number. */
export const linkBetween = (from: number, to: number): Partial<LinkConditions> => {
  const roundTripMs = ROUND_TRIPS_MS[regionOf(from)]?.[regionOf(to)] ?? 0
  const delayMinMs = Math.max(NEAR_MS, roundTripMs) / 2
  return { delayMinMs, delayMaxMs: delayMinMs * (1 + JITTER) }
}
