// Validation of requests, by part: a body is strict (a field it does not know or a wrong type is an error, never dropped
// or coerced: a typo in `replicas` must not become an outage), query strings are text and therefore coerced first.
// The compiled TypeBox guard decides; a walk over the same schema finds the words. Replies are not checked here.

import { distance } from 'fastest-levenshtein'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { TuttiError } from '../../../lib/errors.ts'

/** The parts of JSON Schema that our own schemas use. */
interface Shape {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, Shape>>
  readonly additionalProperties?: boolean | Shape
  readonly items?: Shape
  readonly anyOf?: readonly Shape[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
}

/** A name within this many edits of a known one was probably meant as it; beyond, a guess misleads. */
const TYPO_DISTANCE_MAX = 3

/** The known name nearest to `name`, when one is near enough to have been meant. */
export const nearestName = (name: string, known: Iterable<string>): string | null => {
  let best: string | null = null
  let bestDistance = Math.min(TYPO_DISTANCE_MAX, Math.ceil(name.length / 2)) + 1
  for (const candidate of known) {
    const away = distance(name.toLowerCase(), candidate.toLowerCase())
    if (away < bestDistance) [best, bestDistance] = [candidate, away]
  }
  return best
}

/** `; did you mean 'x'?`, or nothing. */
export const suggestion = (name: string, known: Iterable<string>): string => {
  const near = nearestName(name, known)
  return near === null ? '' : `; did you mean '${near}'?`
}

const typeOf = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (Number.isInteger(value)) return 'integer'
  return typeof value
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeOf(value) === 'object'

const at = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)
const named = (path: string): string => (path === '' ? 'the request' : `'${path}'`)
const within = (path: string): string => (path === '' ? '' : ` in '${path}'`)
const list = (values: readonly unknown[]): string => values.map(String).join(', ')

/** The first thing wrong with `value`, in words; null when the walk finds nothing. */
const problemOf = (shape: Shape, value: unknown, path: string): string | null => {
  if (shape.anyOf !== undefined) return unionProblem(shape.anyOf, value, path)
  if (shape.const !== undefined)
    return value === shape.const ? null : `${named(path)} must be ${JSON.stringify(shape.const)}`
  if (shape.enum !== undefined) return enumProblem(shape.enum, value, path)
  if (!typeFits(shape.type, value))
    return `${named(path)} must be ${shape.type === 'array' ? 'a list' : withArticle(shape.type ?? 'value')}, not ${typeOf(value)}`
  if (isObject(value)) return objectProblem(shape, value, path)
  if (Array.isArray(value)) return arrayProblem(shape, value, path)
  return scalarProblem(shape, value, path)
}

const withArticle = (type: string): string => (/^[aeio]/.test(type) ? `an ${type}` : `a ${type}`)

const typeFits = (type: string | undefined, value: unknown): boolean =>
  type === undefined ||
  type === typeOf(value) ||
  (type === 'number' && typeof value === 'number' && Number.isFinite(value))

const enumProblem = (allowed: readonly unknown[], value: unknown, path: string): string | null => {
  if (allowed.includes(value)) return null
  const guess = typeof value === 'string' ? suggestion(value, allowed.map(String)) : ''
  return `${named(path)} must be one of ${list(allowed)}${guess}`
}

/** Unions are told apart by their `kind`; a nullable value by null. The branch that was meant is the one to explain. */
const unionProblem = (branches: readonly Shape[], value: unknown, path: string): string | null => {
  const kinds = branches.map(({ properties }) => properties?.['kind']?.const)
  if (kinds.every((kind) => typeof kind === 'string')) {
    if (!isObject(value)) return `${named(path)} must be an object, not ${typeOf(value)}`
    const branch = branches[kinds.indexOf(String(value['kind']))]
    return branch === undefined
      ? enumProblem(kinds, value['kind'], at(path, 'kind'))
      : problemOf(branch, value, path)
  }
  const problems = branches.map((branch) => problemOf(branch, value, path))
  if (problems.includes(null)) return null
  return problems[branches.findIndex(({ type }) => type !== 'null')] ?? `${named(path)} is not allowed`
}

const objectProblem = (
  shape: Shape,
  value: Readonly<Record<string, unknown>>,
  path: string,
): string | null => {
  const { properties = {}, required = [], patternProperties, additionalProperties } = shape
  for (const key of required) {
    if (value[key] === undefined) return `'${key}' is missing${within(path)}`
  }
  for (const [key, member] of Object.entries(value)) {
    const known = Object.hasOwn(properties, key) ? properties[key] : undefined
    const keyed = Object.entries(patternProperties ?? {}).find(([pattern]) =>
      new RegExp(pattern, 'u').test(key),
    )
    const inner =
      known ?? keyed?.[1] ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
    if (inner !== undefined) {
      const problem = problemOf(inner, member, at(path, key))
      if (problem !== null) return problem
      continue
    }
    // TypeBox lets a record's key through that fits no pattern of it; here it is as wrong as any unknown field.
    if (patternProperties !== undefined) return `'${key}' is not an allowed name${within(path)}`
    if (additionalProperties === false)
      return `unknown field '${key}'${within(path)}${suggestion(key, Object.keys(properties))}`
  }
  return null
}

const arrayProblem = (shape: Shape, value: readonly unknown[], path: string): string | null => {
  if (shape.minItems !== undefined && value.length < shape.minItems)
    return `${named(path)} needs at least ${shape.minItems} entr${shape.minItems === 1 ? 'y' : 'ies'}`
  if (shape.maxItems !== undefined && value.length > shape.maxItems)
    return `${named(path)} may have at most ${shape.maxItems} entries`
  for (const [index, item] of value.entries()) {
    const problem = shape.items === undefined ? null : problemOf(shape.items, item, `${path}[${index}]`)
    if (problem !== null) return problem
  }
  return null
}

const scalarProblem = (shape: Shape, value: unknown, path: string): string | null => {
  if (typeof value === 'number') {
    if (shape.minimum !== undefined && value < shape.minimum)
      return `${named(path)} must be at least ${shape.minimum}`
    if (shape.maximum !== undefined && value > shape.maximum)
      return `${named(path)} must be at most ${shape.maximum}`
  }
  if (typeof value === 'string') {
    if (shape.minLength !== undefined && value.length < shape.minLength) return `${named(path)} is too short`
    if (shape.maxLength !== undefined && value.length > shape.maxLength)
      return `${named(path)} is longer than ${shape.maxLength} characters`
    if (shape.pattern !== undefined && !new RegExp(shape.pattern, 'u').test(value))
      return `${named(path)} is not in the expected form (${shape.pattern})`
  }
  return null
}

/** Text of a query string as the type its schema names; what does not read as that type stays text and is refused. */
const coerced = (shape: Shape | undefined, value: unknown): unknown => {
  if (typeof value !== 'string') return value
  if (shape?.type === 'integer' && /^-?\d{1,16}$/.test(value)) return Number(value)
  if (shape?.type === 'boolean') {
    // `?follow` alone means yes, as in most command lines.
    if (value === 'true' || value === '1' || value === '') return true
    if (value === 'false' || value === '0') return false
  }
  return value
}

/** What fastify calls with one part of one request. */
export type PartGuard = (value: unknown) => { readonly value: unknown } | { readonly error: TuttiError }

/**
 * A guard for one part of a request. `httpPart` chooses: `body` as it stands, everything else coerced from text.
 * The error is TuttiError `invalid` with one sentence.
 */
export const guardFor = (schema: TSchema, httpPart: string): PartGuard => {
  const compiled = Compile(schema)
  const shape: Shape = schema
  return (received) => {
    const value =
      httpPart !== 'body' && isObject(received)
        ? Object.fromEntries(
            Object.entries(received).map(([key, member]) => [key, coerced(shape.properties?.[key], member)]),
          )
        : received
    const problem = problemOf(shape, value, '')
    if (problem !== null) return { error: new TuttiError('invalid', problem) }
    if (compiled.Check(value)) return { value }
    const [first] = compiled.Errors(value)
    const where = (first?.instancePath ?? '').slice(1).replaceAll('/', '.')
    return { error: new TuttiError('invalid', `${named(where)} ${first?.message ?? 'is malformed'}`) }
  }
}
