// The commands about machines: up, invite, join, peers, doctor, demo. Actions load their module when they run.

import { Option, type Command } from 'commander'
import { UsageError } from '../exit.ts'
import { duration, whole, type Frame } from './frame.ts'
import { addServiceCommands } from './service.ts'
import { addVoterCommands } from './voters.ts'
import { addUpOptions, type UpFlags } from './up-options.ts'

interface InviteFlags {
  readonly expires: number
  readonly uses: number
  readonly role?: 'operator' | 'runner'
}

export const addMachineCommands = (root: Command, frame: Frame): void => {
  const up = addUpOptions(
    root
      .command('up')
      .description("run this machine's peer in the foreground; creates a cluster when there is none"),
  ).option('--json', 'the ready line as one JSON value')
  frame.example(up, 'tutti up --name a --label zone=eu-1')
  frame.does<UpFlags>(up, async (context, { listen = [], label = [], packageBudget = null, ...rest }) => {
    const { data, name, api, join, logLevel } = rest
    const { up } = await import('../commands/up.ts')
    return up(context, { data, name, listen, api, labels: label, join, packageBudget, logLevel })
  })

  const invite = root
    .command('invite')
    .description('print a ticket that admits a machine to the cluster')
    .addOption(
      new Option('--expires <duration>', 'how long it is good').argParser(duration).default(3_600_000, '1h'),
    )
    .addOption(new Option('--uses <n>', 'how many machines it admits').argParser(whole(1, 1000)).default(1))
    .addOption(new Option('--role <role>', 'what they may do').choices(['operator', 'runner']))
  frame.asks(invite, 'tutti invite --expires 30m --uses 3')
  frame.does<InviteFlags>(invite, async (context, { expires, uses, role }) => {
    const { invite } = await import('../commands/invite.ts')
    return invite(context, { expiresMs: expires, uses, role })
  })

  const join = root
    .command('join')
    .description("join this machine's peer to a cluster; starts one behind where none runs")
    .argument('<ticket>', 'the line that tutti invite printed')
    .option('--name <name>', 'what this peer is to be called')
  frame.asks(join, 'tutti join tutti1-eyJhIjpb…', { waits: true })
  frame.does<{ readonly name?: string }>(join, async (context, { name }, [ticket = '']) => {
    const { join } = await import('../commands/join.ts')
    return join(context, ticket, { name })
  })

  addPeers(root, frame)
  addVoterCommands(root, frame)
  addServiceCommands(root, frame)

  const doctor = root
    .command('doctor')
    .description('examine this machine and the cluster; exits with 1 when something is broken')
    .option('--data <dir>', 'the data directory of the peer, also where none runs')
    .option('--all', 'examine the machines of all members')
    .option(
      '--journal <file>',
      'write what went into the last decisions of this peer to a file, for a bug report',
    )
  frame.asks(doctor, 'tutti doctor --all')
  frame.does<{ readonly data?: string; readonly all?: boolean; readonly journal?: string }>(
    doctor,
    async (context, { data, all, journal }) => {
      if (journal !== undefined) {
        const { writeJournal } = await import('../commands/journal.ts')
        return writeJournal(context, { data, file: journal })
      }
      const { doctor } = await import('../commands/doctor.ts')
      return doctor(context, { data, all: all === true })
    },
  )

  const demo = root
    .command('demo')
    .description('three peers and an example shop on this machine; Ctrl-C removes it all')
    .addOption(
      new Option('--timeout <duration>', 'how long the shop may take to be ready').argParser(duration),
    )
  frame.example(demo, 'tutti demo')
  frame.does(demo, async (context) => {
    const { demo } = await import('../commands/demo.ts')
    return demo(context, {})
  })
}

interface PeerFlags {
  readonly yes?: boolean
  readonly wait?: boolean
  readonly all?: boolean
  readonly rebootHook?: string
  readonly from?: string
}

const DRAIN_EXAMPLE =
  'b\n  $ tutti peers drain --all --reboot-hook \'ssh root@"$TUTTI_PEER_ADDRESS" systemctl reboot\''

const addWalk = (command: Command): void => {
  command
    .option('--wait', 'wait until it is empty (the default)')
    .option('--no-wait', 'return at once')
    .option('--all', 'all peers, one after another, each with the hook; the peer that is asked comes last')
    .option(
      '--reboot-hook <command>',
      'run here for each peer once it is empty, with TUTTI_PEER_NAME and TUTTI_PEER_ADDRESS; its peer must restart',
    )
    .option('--from <peer>', 'begin with this peer, where an earlier walk stopped')
}

const addPeers = (root: Command, frame: Frame): void => {
  const peers = root.command('peers').description('list the peers, or change one')
  frame.asks(peers, 'tutti peers')
  frame.does(peers, async (context) => {
    const { listPeers } = await import('../commands/peers.ts')
    return listPeers(context)
  })
  for (const [kind, words] of [
    [
      'rm',
      'remove a peer for good: it has left and is no longer listed; its slots go elsewhere, and in a small fleet others may move too',
    ],
    ['cordon', 'let a peer take no new slots'],
    ['uncordon', 'let a peer take slots again, also after a drain'],
    ['drain', 'move everything off a peer, and wait until it is empty'],
  ] as const) {
    const drains = kind === 'drain'
    const command = peers.command(kind).description(words)
    command.argument(drains ? '[peer]' : '<peer>', drains ? 'its name; left out with --all' : 'its name')
    if (kind === 'rm' || drains) command.option('-y, --yes', 'do not ask')
    if (drains) addWalk(command)
    frame.edits(command, `tutti peers ${kind} ${drains ? DRAIN_EXAMPLE : 'b'}`, { waits: drains })
    frame.does<PeerFlags>(command, async (context, flags, [name = '']) => {
      const yes = flags.yes === true
      if (drains && (flags.all === true || name === '')) {
        const { all, rebootHook: hook, from } = flags
        if (all !== true || name !== '') throw new UsageError('name one peer to drain, or give --all')
        if (hook === undefined) throw new UsageError('give the command for each machine with --reboot-hook')
        const { drainAll } = await import('../commands/drain.ts')
        return drainAll(context, { hook, yes, from })
      }
      const { editPeer } = await import('../commands/peers.ts')
      return editPeer(context, kind, name, { yes, wait: flags.wait !== false })
    })
  }
}
