// `$VAR` and `${VAR:-default}` in values, as the Compose specification has them (§ Interpolation): `-`, `?` and `+` with
// and without the colon, nested defaults, `$$` for a dollar. Pure: the variables are given.

export type Variables = Readonly<Record<string, string | undefined>>

export interface Interpolated {
  readonly text: string
  /** Variables that were set nowhere and had no default: they became nothing. */
  readonly unset: readonly string[]
  /** Null, or what is wrong: one sentence. */
  readonly error: string | null
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/

class Interpolation {
  readonly #variables: Variables
  readonly unset: string[] = []
  error: string | null = null

  constructor(variables: Variables) {
    this.#variables = variables
  }

  expand(text: string): string {
    let out = ''
    let at = 0
    for (;;) {
      const dollar = text.indexOf('$', at)
      if (dollar < 0) return out + text.slice(at)
      out += text.slice(at, dollar)
      const next = text[dollar + 1]
      if (next === '$') {
        out += '$'
        at = dollar + 2
      } else if (next === '{') {
        const end = closingBrace(text, dollar + 2)
        if (end < 0) {
          this.error ??= `'${text.slice(dollar)}' has no closing brace; write $$ for a plain dollar sign`
          return out
        }
        out += this.#braced(text.slice(dollar + 2, end))
        at = end + 1
      } else {
        const name = NAME.exec(text.slice(dollar + 1))?.[0]
        if (name === undefined) this.error ??= `'${text}' has a lone dollar sign; write $$ for it`
        out += name === undefined ? '$' : this.#plain(name)
        at = dollar + 1 + (name?.length ?? 0)
      }
    }
  }

  #plain(name: string): string {
    const value = this.#variables[name]
    if (value === undefined && !this.unset.includes(name)) this.unset.push(name)
    return value ?? ''
  }

  #braced(body: string): string {
    const name = NAME.exec(body)?.[0] ?? ''
    const rest = body.slice(name.length)
    if (name !== '' && rest === '') return this.#plain(name)
    const operator = /^:?[-?+]/.exec(rest)?.[0]
    if (name === '' || operator === undefined) {
      this.error ??= `'\${${body}}' is not a variable; write \${NAME} or \${NAME:-default}`
      return ''
    }
    const argument = rest.slice(operator.length)
    const value = this.#variables[name]
    // With the colon an empty value counts as none.
    const isSet = value !== undefined && (value !== '' || !operator.startsWith(':'))
    if (operator.endsWith('+')) return isSet ? this.expand(argument) : ''
    if (isSet) return value
    if (operator.endsWith('-')) return this.expand(argument)
    const why = this.expand(argument)
    this.error ??= `variable ${name} is not set${why === '' ? '' : `: ${why}`}; set it in the environment or in .env`
    return ''
  }
}

/** Where the brace that was opened before `from` closes; -1: nowhere. */
const closingBrace = (text: string, from: number): number => {
  let depth = 1
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '{' && text[at - 1] === '$') depth += 1
    else if (text[at] === '}') {
      depth -= 1
      if (depth === 0) return at
    }
  }
  return -1
}

/** `text` with its variables replaced. Never throws; see `error`. */
export const interpolate = (text: string, variables: Variables): Interpolated => {
  if (!text.includes('$')) return { text, unset: [], error: null }
  const run = new Interpolation(variables)
  const expanded = run.expand(text)
  return { text: expanded, unset: run.unset, error: run.error }
}
