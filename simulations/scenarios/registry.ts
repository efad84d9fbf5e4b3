// Every scenario, in the order in which they are told.

import { afterAMonth } from './after-a-month.ts'
import { liar } from './liar.ts'
import { rivalOperators } from './rival-operators.ts'
import { rollingReboot } from './rolling-reboot.ts'
import type { Scenario } from './scenario.ts'
import { slowDisk } from './slow-disk.ts'
import { thirdLost } from './third-lost.ts'
import { twoMachines } from './two-machines.ts'
import { votersLost } from './voters-lost.ts'
import { wrongRelease } from './wrong-release.ts'

export const SCENARIOS: readonly Scenario[] = [
  rollingReboot,
  wrongRelease,
  rivalOperators,
  twoMachines,
  votersLost,
  afterAMonth,
  thirdLost,
  slowDisk,
  liar,
]
