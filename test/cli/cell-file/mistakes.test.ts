// Mistakes that no one section makes: what is no cell file at all, and how many mistakes, of any kind, are told. Each with
// the exact sentence and place, since that is what people read.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cellDirectory, web } from './cell-directory.ts'

const { read, problemsOf, itSays } = cellDirectory()

describe('parseCellFile, with mistakes', () => {
  itSays([
    ['', ['1:1: the file is empty; add services:']],
    ['- a', ['1:1: the file must be a map with services:']],
    ['name: s', ['1:1: the file has no services; add services: with a name and a command']],
    ['name: s\nservices: {}', ['2:1: services is empty; add one, or remove the cell with tutti rm']],
    ['name: s\nservices: { web: }', ['2:13: services.web is empty; give it a command']],
    [
      'a: [1',
      [
        '1:6: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
      ],
    ],
    ['name: s\nname: t\nservices: { a: { command: x } }', ['2:1: not valid YAML: map keys must be unique']],
    ['a: 1\n---\nb: 2', ['2:1: the file holds several documents; keep one']],
    [
      'name: My Shop\nservices: { a: { command: x } }',
      ["1:7: name: 'My Shop' may have lower-case letters, digits and - only; write my-shop"],
    ],
    [
      'servces: { a: { command: x } }',
      [
        '1:1: servces is not a known key; did you mean services?',
        '1:1: the file has no services; add services: with a name and a command',
      ],
    ],
    [
      'name: s\ngateway: { listen: 1 }\nservices: { a: { command: x } }',
      [
        '2:1: gateway: gateways are not offered yet; give the entry service a fixed port, as in ports: [http: 8080]',
      ],
    ],
    [web('stop_grace_period: *none'), ['5:24: alias *none has no anchor before it; define it with &none']],
  ])

  it('collects all problems in the order of lines, and shows the first twenty', () => {
    const keys = Array.from({ length: 25 }, (_, at) => `    qqqqqqq${at}: 1`).join('\n')
    const found = problemsOf(`name: s\nservices:\n  a:\n    command: x\n${keys}`)
    assert.equal(found.length, 21)
    assert.equal(found[0], '5:5: services.a.qqqqqqq0 is not a known key')
    assert.equal(found.at(-1), ' and 5 more')
  })

  it('calls a file unsupported only when nothing else is wrong with it', () => {
    assert.throws(() => read(web('image: x')), { code: 'unsupported' })
    assert.throws(() => read(web('image: x\n    foo: x')), { code: 'invalid' })
  })

  it('refuses a file above 1 MiB', () => {
    assert.throws(() => read(`# ${'x'.repeat(1024 * 1024)}`), {
      code: 'too-large',
      message: 'cell.yaml:1:1: the file is larger than 1 MiB; split the cell into several',
    })
  })

  it('refuses aliases that multiply, at once', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, before] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'].map((pair) => pair.split(''))) {
      bomb.push(`${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(', ')}]`)
    }
    assert.match(
      problemsOf(bomb.join('\n'))[0] ?? '',
      /nested too deeply or repeats too much through aliases/,
    )
  })

  it('never crashes on an alias to what surrounds it', () => {
    assert.match(problemsOf('a: &a [*a]')[0] ?? '', /nested too deeply|unresolved alias|no anchor/)
  })
})
