// The command line before any command does its work: words it does not know, help, options in front of the command.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tutti } from './fake.ts'
import { shopPeer } from './shop-peer.ts'

const { peer, directory } = await shopPeer()

describe('tutti, used wrongly', () => {
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [['plna'], 2, "tutti: 'plna' is not a command of tutti; did you mean plan?\n"],
    [['drain', 'b'], 2, "tutti: 'drain' is not a command of tutti; did you mean peers drain?\n"],
    [['remove', 'shop/web'], 2, "tutti: 'remove' is not a command of tutti; did you mean rm?\n"],
    [['qwertz'], 2, "tutti: 'qwertz' is not a command of tutti; see tutti --help\n"],
    [['peers', 'drian', 'b'], 2, "tutti: 'drian' is not a command of tutti peers; did you mean drain?\n"],
    [['ps', '--jsno'], 2, "tutti: unknown option '--jsno'; did you mean --json?\n"],
    [['scale'], 2, "tutti: missing required argument 'service=n'; see tutti scale --help\n"],
    [['apply'], 2, "tutti: required option '-f, --file <file>' not specified; see tutti apply --help\n"],
    [['apply', '-f', 'none.yaml'], 2, 'tutti: cell file none.yaml does not exist; check the path\n'],
    [
      ['apply', '-f', 'cell.yaml', '--timeout', '5x'],
      2,
      "tutti: '5x' is not a duration; write for example 500ms, 5s, 1m or 2h\n",
    ],
    [
      ['scale', 'shop/web'],
      2,
      "tutti: 'shop/web' is not CELL/SERVICE=N with N from 0 to 2000; write for example shop/web=3\n",
    ],
    [['scale', 'web=3'], 2, "tutti: 'web' is not a service; write it as in shop/web\n"],
    [
      ['logs', 'shop/web/0/x'],
      2,
      "tutti: 'shop/web/0/x' is not a cell, a service or a slot; write it as in shop/web or shop/web/2\n",
    ],
    [['logs', '-n', 'x', 'shop/web'], 2, "tutti: 'x' is not a whole number from 0 to 100000\n"],
    [['top'], 2, 'tutti: tutti top is not offered in this version yet; see tutti --help for what is\n'],
    [
      ['completion', 'tcsh'],
      2,
      "tutti: command-argument value 'tcsh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish; see tutti completion --help\n",
    ],
    [
      ['apply', '-f', 'cell.yaml'],
      2,
      'tutti: this asks before it changes anything, and no one is at the terminal; add --yes\n',
    ],
    [
      ['apply', '-f', 'bad.yaml'],
      3,
      'tutti: bad.yaml:2:20: services.web.comand is not a known key; did you mean command?\n',
    ],
    [
      ['exec', 'shop/web', '-t', '--', 'sh'],
      2,
      "tutti: '-t' follows shop/web and would be its command; write options before shop/web, and the command after --\n",
    ],
    [['join', 'abc'], 2, 'tutti: that is not a ticket; copy the whole line that tutti invite printed\n'],
    [
      ['up', '--api', 'nowhere'],
      2,
      "tutti: 'nowhere' is not an address for the API; write HOST:PORT, as in 127.0.0.1:7700\n",
    ],
    [['up', '--name', 'A B'], 2, "tutti: 'A B' is not a peer's name; use lower-case letters, digits and -\n"],
    [['up', '--label', 'zone'], 2, "tutti: 'zone' is not a label; write KEY=VALUE, as in zone=eu-1\n"],
    [
      ['up', '--join', '/ip4/127.0.0.1/tcp/1'],
      2,
      'tutti: joining by address needs the token of tutti invite; add --token\n',
    ],
    [
      ['ps', '--peer', '/nonexistent/t.sock'],
      1,
      'tutti: no peer answers on /nonexistent/t.sock; start one with tutti up\n',
    ],
    [['ps', 'shop/wbeb'], 3, 'tutti: there is no service shop/wbeb; did you mean shop/web?\n'],
  ]
  for (const [words, code, sentence] of cases) {
    it(`says what is wrong with: tutti ${words.join(' ')}`, async () => {
      const ran = await tutti(words, { peer, directory })
      assert.deepEqual([ran.code, ran.stderr.split('\n').at(-2) + '\n'], [code, sentence])
    })
  }
})

describe('tutti --help', () => {
  it('has an example on every command', async () => {
    const root = await tutti(['--help'])
    assert.equal(root.code, 0)
    const names = [...root.stdout.matchAll(/^ {2}([a-z]+) +[[<a-z]?/gm)].map(([, name]) => name ?? '')
    const paths = [
      ...names.filter((name) => name !== 'help'),
      'package push',
      'package ls',
      'package show',
      'package rm',
      'peers rm',
      'peers cordon',
      'peers uncordon',
      'peers drain',
    ]
    assert.ok(paths.length >= 24)
    for (const path of paths) {
      const { code, stdout } = await tutti([...path.split(' '), '--help'])
      assert.deepEqual([code, /\nExample:\n {2}\$ \S/.test(stdout)], [0, true], path)
    }
  })
})

describe('tutti, with options before the command', () => {
  const nowhere = { environment: { TUTTI_PEER: '/nonexistent/t.sock' } }

  it('takes --peer, --token and --json there too', async () => {
    const words = ['--peer', peer.socket, '--token', 'x', '--json', 'ls']
    const { code, stdout } = await tutti(words, nowhere)
    assert.deepEqual([code, 'services' in JSON.parse(stdout)], [0, true])
    assert.equal(peer.asked.at(-1)?.token, 'Bearer x')
    assert.equal((await tutti(['--peer', peer.socket, 'peers', 'cordon', 'b'], nowhere)).code, 0)
  })

  it('lets the nearer one win', async () => {
    const words = ['--peer', '/nonexistent/u.sock', 'ls', '--peer', peer.socket]
    assert.equal((await tutti(words, nowhere)).code, 0)
  })

  it('refuses them where the command has no use for them', async () => {
    const { code, stderr } = await tutti(['--peer', peer.socket, 'up'])
    assert.deepEqual([code, stderr], [2, 'tutti: tutti up takes no option --peer; see tutti up --help\n'])
  })

  it('still finds the word that is wrong', async () => {
    const { code, stderr } = await tutti(['--peer', 'ps', 'pss'])
    assert.deepEqual([code, stderr], [2, "tutti: 'pss' is not a command of tutti; did you mean ps?\n"])
    const none = await tutti(['--json'])
    assert.deepEqual([none.code, none.stderr], [2, 'tutti: that names no command; see tutti --help\n'])
  })
})
