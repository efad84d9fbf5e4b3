// Placement constraints: `node.labels.zone != eu-2`, `node.name == oak`, `node.id != 12D3…`, parsed and judged. The
// cell-file reader and the election use the same parser, so what a file may say is what a placement understands.
// Deliberately absent: every other predicate (Swarm's roles and engine labels), and any matching but exact equality.

import { TuttiError } from '../../lib/errors.ts'

/** What a constraint looks at. */
export type ConstraintSubject =
  { readonly kind: 'label'; readonly key: string } | { readonly kind: 'name' } | { readonly kind: 'id' }

export interface Constraint {
  readonly subject: ConstraintSubject
  /** True for `==`, false for `!=`. */
  readonly equal: boolean
  readonly value: string
}

/** The part of a member that constraints look at. */
export interface ConstraintTarget {
  readonly id: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

const SHAPE = /^\s*([A-Za-z0-9_.-]+)\s*(==|!=)\s*(\S(?:.*\S)?)\s*$/

const LABEL_PREFIX = 'node.labels.'

/** As in a service's `spread`: what a label may be called. */
const LABEL_KEY = /^[A-Za-z0-9_.-]{1,128}$/

/**
 * One constraint from its text. `node.hostname`, as Swarm writes it, means the name.
 * @throws TuttiError `invalid` with one sentence that says what is allowed.
 */
export const parseConstraint = (text: string): Constraint => {
  const [, subject, operator, value] = SHAPE.exec(text) ?? []
  if (subject === undefined || value === undefined) {
    throw new TuttiError(
      'invalid',
      `'${text}' is not a constraint; write for example node.labels.zone == eu-1 or node.name != oak`,
    )
  }
  return { subject: parseSubject(subject, text), equal: operator === '==', value }
}

const parseSubject = (subject: string, text: string): ConstraintSubject => {
  if (subject === 'node.name' || subject === 'node.hostname') return { kind: 'name' }
  if (subject === 'node.id') return { kind: 'id' }
  const key = subject.startsWith(LABEL_PREFIX) ? subject.slice(LABEL_PREFIX.length) : ''
  if (LABEL_KEY.test(key)) return { kind: 'label', key }
  throw new TuttiError(
    'invalid',
    `the constraint '${text}' asks for '${subject}'; use node.labels.KEY, node.name or node.id`,
  )
}

/**
 * Why a member does not meet a constraint, in words that follow its name; null when it meets it. A label that the
 * member lacks is equal to nothing, so `!=` holds (as in Swarm).
 */
export const refusalOf = (constraint: Constraint, target: ConstraintTarget): string | null => {
  const actual = actualOf(constraint.subject, target)
  if ((actual === constraint.value) === constraint.equal) return null
  const subject = subjectText(constraint.subject)
  const found = actual === undefined ? `${subject} is not set` : `${subject} is ${actual}`
  return `${found}, the constraint asks for ${constraint.equal ? '==' : '!='} ${constraint.value}`
}

const actualOf = (subject: ConstraintSubject, target: ConstraintTarget): string | undefined => {
  if (subject.kind === 'name') return target.name
  if (subject.kind === 'id') return target.id
  return Object.hasOwn(target.labels, subject.key) ? target.labels[subject.key] : undefined
}

const subjectText = (subject: ConstraintSubject): string =>
  subject.kind === 'label' ? `${LABEL_PREFIX}${subject.key}` : `node.${subject.kind}`

/** A service's constraints, ready to judge members. */
export type Refusal = (target: ConstraintTarget) => string | null

/**
 * All constraints of a service as one judgement. One that cannot be parsed (a newer version wrote it) is met by nobody:
 * running a service where it may not run is worse than not running it.
 */
export const refusalBy = (texts: readonly string[]): Refusal => {
  const constraints: Constraint[] = []
  for (const text of texts) {
    try {
      constraints.push(parseConstraint(text))
    } catch (thrown) {
      if (!(thrown instanceof TuttiError)) throw thrown
      const { message } = thrown
      return () => message
    }
  }
  return (target) => {
    for (const constraint of constraints) {
      const refusal = refusalOf(constraint, target)
      if (refusal !== null) return refusal
    }
    return null
  }
}
