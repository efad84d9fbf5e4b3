// A command string cut into words as a POSIX shell would (Shell Command Language §2.2, §2.6.5): quotes, backslashes,
// white space, line continuations. It deliberately runs no shell: no variables, globs, pipes or redirections; a word that
// only a shell understands is reported, since it would silently become an argument.

export interface ShellWords {
  readonly words: readonly string[]
  /** Null, or what is wrong: one sentence. */
  readonly error: string | null
}

const OPERATOR = /^(&&|\|\|?|;|&|[0-9]?>>?|[0-9]?>&[0-9]|<)$/

/** Where the quote that opened at `open` closes, and the text within. */
const quoted = (text: string, open: number): { readonly text: string; readonly end: number } | null => {
  const quote = text[open]
  let inner = ''
  for (let at = open + 1; at < text.length; at += 1) {
    const character = text[at] ?? ''
    if (character === quote) return { text: inner, end: at }
    const next = text[at + 1] ?? ''
    // Within double quotes a backslash escapes these only; within single quotes nothing.
    if (quote === '"' && character === '\\' && '"\\$`\n'.includes(next) && next !== '') {
      if (next !== '\n') inner += next
      at += 1
    } else inner += character
  }
  return null
}

/** The words of a command string. Never throws; see `error`. */
export const shellWords = (text: string): ShellWords => {
  const words: string[] = []
  let word: string | null = null
  let isBare = true
  let error: string | null = null
  const finish = (): void => {
    if (word === null) return
    if (isBare && OPERATOR.test(word)) {
      error ??= `'${word}' needs a shell, and a command string is not run by one; write [sh, -c, '…'] instead`
    }
    words.push(word)
    word = null
    isBare = true
  }
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? ''
    if (character === '"' || character === "'") {
      const part = quoted(text, at)
      if (part === null) return { words: [], error: `a ${character} quote is not closed` }
      word = (word ?? '') + part.text
      isBare = false
      at = part.end
    } else if (character === '\\') {
      const next = text[at + 1]
      if (next === undefined) return { words: [], error: 'a backslash at the end escapes nothing' }
      if (next !== '\n') word = (word ?? '') + next
      isBare = false
      at += 1
    } else if (/\s/.test(character)) finish()
    else word = (word ?? '') + character
  }
  finish()
  return { words, error }
}
