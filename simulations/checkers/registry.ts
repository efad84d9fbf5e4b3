// Every checker of a run, made anew. What L2 says of rest is judged by verdict.ts; S13 and L8 join with the features they
// are about.

import type { Checker } from './checker.ts'
import { agreement } from './l01-agreement.ts'
import { fulfilment } from './l02-fulfilment.ts'
import { detection } from './l03-detection.ts'
import { refutation } from './l03-refutation.ts'
import { flapping } from './l04-flapping.ts'
import { moves } from './l04-moves.ts'
import { takeOver } from './l04-take-over.ts'
import { rollouts } from './l05-rollouts.ts'
import { backoff } from './l06-backoff.ts'
import { leases } from './l07-leases.ts'
import { convergence } from './s01-convergence.ts'
import { acknowledgedEdits } from './s02-acknowledged.ts'
import { actorReuse } from './s03-actors.ts'
import { validity } from './s04-validity.ts'
import { placementIsPure } from './s05-placement.ts'
import { readable, versions } from './s05-versions.ts'
import { ownHands } from './s06-own-hands.ts'
import { capacity } from './s07-capacity.ts'
import { availability } from './s08-availability.ts'
import { canary } from './s08-canary.ts'
import { hooks } from './s08-hooks.ts'
import { surge } from './s08-surge.ts'
import { singletons } from './s09-singletons.ts'
import { orphans } from './s10-orphans.ts'
import { deletion } from './s11-deletion.ts'
import { membership } from './s12-membership.ts'
import { bounded } from './s14-bounded.ts'
import { isolation } from './s15-isolation.ts'
import { brake } from './s16-brake.ts'

export const allCheckers = (): readonly Checker[] => [
  convergence(),
  acknowledgedEdits(),
  actorReuse(),
  validity(),
  readable(),
  placementIsPure(),
  versions(),
  ownHands(),
  capacity(),
  availability(),
  surge(),
  canary(),
  hooks(),
  singletons(),
  orphans(),
  deletion(),
  membership(),
  bounded(),
  isolation(),
  brake(),
  agreement(),
  fulfilment(),
  detection(),
  refutation(),
  flapping(),
  moves(),
  takeOver(),
  rollouts(),
  backoff(),
  leases(),
]
