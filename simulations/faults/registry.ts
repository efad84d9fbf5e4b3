// Every kind of step there is, in the order in which `--faults` and reports list them. A new family is one file and one line.

import { CLOCK_FAULTS } from './clocks.ts'
import { DISK_FAULTS } from './disks.ts'
import type { Fault } from './fault.ts'
import { INSTANCE_FAULTS } from './instances.ts'
import { LEASE_FAULTS } from './leases.ts'
import { LIARS } from './liars.ts'
import { LINK_FAULTS } from './links.ts'
import { OPERATOR_ACTS } from './operators.ts'
import { PEER_FAULTS } from './peers.ts'
import { VERSION_FAULTS } from './versions.ts'

export const FAULTS: readonly Fault[] = [
  ...LINK_FAULTS,
  ...PEER_FAULTS,
  ...DISK_FAULTS,
  ...CLOCK_FAULTS,
  ...INSTANCE_FAULTS,
  ...LIARS,
  ...OPERATOR_ACTS,
  ...VERSION_FAULTS,
  ...LEASE_FAULTS,
]
