// The referee of one run: all checkers together, with a tally of how often each looked. What a checker found is said
// once, at the moment it is found. A run goes on after a violation only until its trouble ends, since what follows from
// one is no news.

import type { Checker, Wrongs } from './checkers/checker.ts'
import type { Scene } from './scene.ts'
import { invariantOf } from './violation.ts'

/** A run says no more than this many of one invariant: the rest follows from them. */
const VIOLATIONS_MAX = 20

type Hook = Exclude<keyof Checker, 'invariant'>

export class Referee {
  readonly #checkers: readonly Checker[]
  readonly #say: (line: string) => void
  readonly #checks = new Map<string, number>()
  readonly #violations = new Set<string>()
  readonly #byHook = new Map<Hook, readonly Checker[]>()
  /** How many of each invariant. */
  readonly #known = new Map<string, number>()
  scene: Scene | null = null

  constructor(checkers: readonly Checker[], say: (line: string) => void) {
    this.#checkers = checkers
    this.#say = say
    for (const { invariant } of checkers) this.#checks.set(invariant, 0)
  }

  /** Each begins with its invariant. */
  get violations(): readonly string[] {
    return [...this.#violations]
  }

  /** How often each invariant was checked. */
  get checks(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#checks)
  }

  /** Asks every checker that has this hook. */
  ask<H extends Hook>(hook: H, ask: (check: NonNullable<Checker[H]>, scene: Scene) => Wrongs): void {
    const { scene } = this
    if (scene === null) return
    for (const checker of this.#checkersWith(hook)) {
      const check = checker[hook]
      if (check === undefined) continue
      this.#count(checker.invariant)
      for (const wrong of ask(check, scene)) this.note(`${checker.invariant}: ${wrong}`)
    }
  }

  /** Lets all who look do so, at one moment. */
  look(): void {
    this.scene?.world.together(() => this.ask('look', (check, scene) => check(scene)))
  }

  /** The same for hooks that read disks. */
  async askLater<H extends 'acknowledged' | 'losing'>(
    hook: H,
    ask: (check: NonNullable<Checker[H]>, scene: Scene) => Promise<Wrongs>,
  ): Promise<void> {
    const { scene } = this
    if (scene === null) return
    for (const checker of this.#checkers) {
      const check = checker[hook]
      if (check === undefined) continue
      this.#count(checker.invariant)
      for (const wrong of await ask(check, scene)) this.note(`${checker.invariant}: ${wrong}`)
    }
  }

  /** A violation found by other means: a crash, the verdict at rest. */
  note(violation: string): void {
    const broken = invariantOf(violation)
    const known = this.#known.get(broken) ?? 0
    if (this.#violations.has(violation) || known >= VIOLATIONS_MAX) return
    this.#known.set(broken, known + 1)
    this.#violations.add(violation)
    this.#say(`VIOLATION ${violation}`)
  }

  /** Messages are many, and one checker listens to them. */
  #checkersWith(hook: Hook): readonly Checker[] {
    const known = this.#byHook.get(hook)
    if (known !== undefined) return known
    const having = this.#checkers.filter((checker) => checker[hook] !== undefined)
    this.#byHook.set(hook, having)
    return having
  }

  #count(invariant: string): void {
    this.#checks.set(invariant, (this.#checks.get(invariant) ?? 0) + 1)
  }
}
