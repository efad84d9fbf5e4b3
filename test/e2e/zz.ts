import { Fleet, until } from './support/fleet.ts'
const n = Number(process.argv[2])
const fleet = await Fleet.create()
const t0 = performance.now()
const first = fleet.peer({ name: 'p0' })
await first.up()
console.log('first', performance.now() - t0)
const { ticket } = await first.invite(n)
const rest = Array.from({ length: n - 1 }, (_, i) => fleet.peer({ name: `p${i + 1}` }))
const res = await Promise.allSettled(rest.map((p) => p.up(['--join', ticket])))
console.log(
  'up',
  performance.now() - t0,
  res.filter((r) => r.status === 'rejected').map((r: any) => String(r.reason).slice(0, 800)),
)
try {
  await fleet.agree([first, ...rest], 40000)
  console.log('agree', performance.now() - t0)
} catch (e) {
  console.log(String(e).slice(0, 200))
  for (const p of [first, ...rest]) {
    try {
      const r = await p.peers()
      const r2 = await p.status()
      console.log(
        p.name,
        r.asOf.digest.slice(0, 8),
        r.peers.length,
        r.peers
          .filter((x) => x.state !== 'alive')
          .map((x) => x.name + x.state)
          .join(),
        'otherdigest',
        r.peers.filter((x) => x.digest !== r.asOf.digest).length,
        'unsettled',
        r.peers.filter((x) => !x.settled).length,
        JSON.stringify(r2.waiting).slice(0, 200),
      )
    } catch (e) {
      console.log(p.name, String(e))
    }
  }
}

import { readFileSync } from 'node:fs'
const cpu = (pid: number) => {
  const t = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const f = t.slice(t.lastIndexOf(')') + 2).split(' ')
  return (Number(f[11]) + Number(f[12])) / 100
}
const all = [first, ...rest]
const c0 = all.map((p) => cpu(p.pid))
console.log('cpu so far', c0.map((x) => x.toFixed(1)).join(' '))
await new Promise((r) => setTimeout(r, 20000))
const c1 = all.map((p) => cpu(p.pid))
console.log('idle %', c1.map((x, i) => (((x - c0[i]!) / 20) * 100).toFixed(1)).join(' '))
const mem = (pid: number) => {
  const t = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const k = (n: string) => Math.round(Number(new RegExp(`^${n}:\\s+(\\d+)`, 'm').exec(t)?.[1]) / 1024)
  return k('Rss') + '/' + k('Pss')
}
console.log(all.map((p) => mem(p.pid)).join(' '))
const m = await first.get<string>('/metrics')
console.log(
  m
    .split('\n')
    .filter((l) => /^tutti_(gossip|sync|anti|passes|status|records)/.test(l))
    .join('\n'),
)
await fleet.close()
