// Which keys a cell file may have, section by section; which ones this version cannot serve, with the sentence that says
// so; and which ones of Compose's mean nothing where programs run without containers.

import type { Keys } from './reader.ts'

const CONTAINER = 'it is about containers, and tutti runs programs directly; remove it'
const NO_FILES = 'files are not handed out yet; put them on the peers and name their paths'

export const CELL_KEYS: Keys = {
  known: ['name', 'services', 'version'],
  unsupported: {
    gateway: 'gateways are not offered yet; give the entry service a fixed port, as in ports: [http: 8080]',
    volumes: 'volumes are not offered yet; let the program write to a directory of the machine',
    secrets: NO_FILES,
    configs: NO_FILES,
    include: 'files are not included yet; apply each file as a cell of its own',
  },
  ignored: ['networks'],
}

export const SERVICE_KEYS: Keys = {
  known: [
    'command',
    'entrypoint',
    'package',
    'build',
    'working_dir',
    'environment',
    'env_file',
    'ports',
    'healthcheck',
    'liveness',
    'depends_on',
    'pre_deploy',
    'verify',
    'uses',
    'stop_signal',
    'stop_grace_period',
    'on_partition',
    'deploy',
    'restart',
    'scale',
    'cpus',
    'mem_limit',
    'mem_reservation',
    'pids_limit',
    'ulimits',
    'user',
    'isolation',
  ],
  unsupported: {
    image: 'images are not offered yet; give a command that runs on the machine',
    volumes: 'volumes are not offered yet; let the program write to a directory of the machine',
    secrets: NO_FILES,
    configs: NO_FILES,
    profiles: 'profiles are not offered yet; put the service into a file of its own',
    extends: 'extending is not offered yet; use a YAML anchor and a merge key',
    develop: 'watching sources is not offered yet; remove it',
    links: 'containers are not linked here; write uses: with the names of the services',
    ...Object.fromEntries(
      [
        'annotations',
        'blkio_config',
        'cap_add',
        'cap_drop',
        'cgroup',
        'cgroup_parent',
        'devices',
        'dns',
        'dns_search',
        'extra_hosts',
        'gpus',
        'group_add',
        'ipc',
        'mac_address',
        'network_mode',
        'oom_score_adj',
        'pid',
        'privileged',
        'read_only',
        'runtime',
        'security_opt',
        'shm_size',
        'sysctls',
        'tmpfs',
        'userns_mode',
        'volumes_from',
      ].map((key) => [key, CONTAINER]),
    ),
  },
  ignored: [
    'attach',
    'container_name',
    'domainname',
    'expose',
    'hostname',
    'init',
    'labels',
    'logging',
    'networks',
    'platform',
    'pull_policy',
    'stdin_open',
    'tty',
  ],
}

const IMAGE = 'it is about images, and tutti builds directories; remove it'
export const BUILD_KEYS: Keys = {
  known: ['context', 'command', 'output', 'verify', 'timeout'],
  unsupported: Object.fromEntries(
    ['additional_contexts', 'args', 'dockerfile', 'dockerfile_inline', 'platforms', 'secrets', 'target'].map(
      (key) => [key, IMAGE],
    ),
  ),
  ignored: ['cache_from', 'cache_to', 'labels', 'no_cache', 'pull', 'tags'],
}

export const PROBE_KEYS: Keys = {
  known: [
    'http',
    'tcp',
    'test',
    'port',
    'interval',
    'timeout',
    'retries',
    'successes',
    'start_period',
    'disable',
  ],
  ignored: ['start_interval'],
}

export const DEPLOY_KEYS: Keys = {
  known: [
    'mode',
    'replicas',
    'resources',
    'placement',
    'update_config',
    'restart_policy',
    'reschedule_after',
    'unfulfilled_after',
  ],
  unsupported: {
    rollback_config: 'a release that comes back goes by update_config like any other; remove it',
  },
  ignored: ['endpoint_mode', 'labels'],
}

export const RESOURCES_KEYS: Keys = { known: ['reservations', 'limits'] }
export const RESERVATION_KEYS: Keys = {
  known: ['cpus', 'memory'],
  unsupported: {
    devices: CONTAINER,
    generic_resources: CONTAINER,
    pids: 'processes are limited and not reserved; move it to limits',
  },
}
export const LIMIT_KEYS: Keys = { known: ['cpus', 'memory', 'pids'] }
export const ULIMIT_KEYS: Keys = {
  known: ['nofile'],
  unsupported: Object.fromEntries(
    ['as', 'core', 'cpu', 'data', 'fsize', 'memlock', 'nproc', 'rss', 'sigpending', 'stack'].map((key) => [
      key,
      'only nofile is offered; set others in the command, as in sh -c "ulimit -c 0; exec server"',
    ]),
  ),
}
export const ULIMIT_PAIR_KEYS: Keys = { known: ['soft', 'hard'] }
export const PLACEMENT_KEYS: Keys = {
  known: ['constraints', 'spread', 'preferences', 'max_replicas_per_node'],
}
export const UPDATE_KEYS: Keys = {
  known: [
    'order',
    'parallelism',
    'canary',
    'monitor',
    'delay',
    'failure_action',
    'progress_deadline',
    'promote',
  ],
  unsupported: {
    max_failure_ratio: 'one failed instance is enough to judge a release; remove it',
  },
}
export const HOOK_KEYS: Keys = { known: ['command', 'timeout'] }
export const VERIFY_KEYS: Keys = { known: ['command', 'http', 'timeout'] }
export const RESTART_KEYS: Keys = {
  known: ['condition', 'delay', 'max_delay', 'max_attempts', 'window'],
}
