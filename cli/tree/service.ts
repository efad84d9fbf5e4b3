// The commands that make a peer a service of the machine: install-service and uninstall-service. Actions load their module
// when they run.

import type { Command } from 'commander'
import type { Frame } from './frame.ts'

interface PlaceFlags {
  readonly user?: boolean
  readonly name: string
  readonly root?: string
  readonly yes?: boolean
}

interface InstallFlags extends PlaceFlags {
  readonly data?: string
  readonly print?: boolean
  readonly remove?: boolean
}

const addPlace = (command: Command): Command =>
  command
    .option('--user', 'a service of this user instead of the machine')
    .option('--name <name>', 'what the service is called', 'tutti')
    .option('--root <dir>', 'work on the files below this directory only, as in an image')
    .option('-y, --yes', 'do not ask')

export const addServiceCommands = (root: Command, frame: Frame): void => {
  const install = root
    .command('install-service')
    .description('have systemd run the peer from every boot on; what is behind -- goes to tutti up')
    .argument('[up-options...]', 'options of tutti up, behind --')
    .option('--data <dir>', 'where the peer keeps its data')
    .option('--print', 'print the unit and change nothing')
    .option('--remove', 'the same as uninstall-service')
  addPlace(install)
  frame.example(install, 'sudo tutti install-service -- --name a --label zone=eu-1')
  frame.does<InstallFlags>(install, async (context, flags, words) => {
    const { installService, uninstallService } = await import('../commands/install-service.ts')
    const place = placeOf(flags)
    if (flags.remove === true) return uninstallService(context, { ...place, stopInstances: false })
    return installService(context, { ...place, data: flags.data, print: flags.print === true, words })
  })

  const uninstall = root
    .command('uninstall-service')
    .description('take the service away again; its instances run on')
    .option('--stop-instances', 'end the instances of this machine too')
  addPlace(uninstall)
  frame.example(uninstall, 'sudo tutti uninstall-service')
  frame.does<PlaceFlags & { readonly stopInstances?: boolean }>(uninstall, async (context, flags) => {
    const { uninstallService } = await import('../commands/install-service.ts')
    return uninstallService(context, { ...placeOf(flags), stopInstances: flags.stopInstances === true })
  })
}

const placeOf = ({ user, name, root, yes }: PlaceFlags) => ({
  user: user === true,
  name,
  root,
  yes: yes === true,
})
