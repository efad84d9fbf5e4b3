// A plot of measured figures against the number of peers, as SVG by hand: one panel for each figure, the number of peers on a
// logarithmic axis. Figures in, text out.

export interface Panel {
  readonly title: string
  readonly unit: string
  readonly lines: readonly Line[]
}

export interface Line {
  readonly name: string
  /** Number of peers, figure. */
  readonly points: readonly (readonly [number, number])[]
}

const WIDTH = 320
const HEIGHT = 200
const LEFT = 52
const TOP = 34
const BOTTOM = 34
const RIGHT = 14
/** Two that colour-blind readers tell apart, on white and on black (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00'] as const
const TICKS = 4

/** Panels side by side, two in a row. */
export const plotOf = (panels: readonly Panel[]): string => {
  const rows = Math.ceil(panels.length / 2)
  const drawn = panels.map((panel, at) => {
    const x = (at % 2) * WIDTH
    const y = Math.floor(at / 2) * HEIGHT
    return `<g transform="translate(${x} ${y})">${panelOf(panel)}</g>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * rows}" width="${WIDTH * 2}" font-family="sans-serif" font-size="10" fill="#444">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...drawn,
    '</svg>',
    '',
  ].join('\n')
}

const panelOf = ({ title, unit, lines }: Panel): string => {
  const peers = lines.flatMap(({ points }) => points.map(([count]) => count))
  const highest = Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value)))
  const top = roundUp(highest)
  const from = Math.log(Math.min(...peers))
  const span = Math.log(Math.max(...peers)) - from || 1
  const x = (count: number): number => LEFT + ((Math.log(count) - from) / span) * (WIDTH - LEFT - RIGHT)
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM)
  const ticks = Array.from({ length: TICKS + 1 }, (_, at) => (top * at) / TICKS)
  return [
    `<text x="${LEFT}" y="16" font-size="12" fill="#222">${title}</text>`,
    ...ticks.map(
      (tick) =>
        `<path d="M${LEFT} ${fixed(y(tick))}H${WIDTH - RIGHT}" stroke="#ddd"/><text x="${LEFT - 4}" y="${fixed(y(tick) + 3)}" text-anchor="end">${label(tick)}</text>`,
    ),
    ...[...new Set(peers)].map(
      (count) =>
        `<text x="${fixed(x(count))}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${count}</text>`,
    ),
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 6}" text-anchor="end">peers</text><text x="${LEFT}" y="28">${unit}</text>`,
    ...lines.map(({ name, points }, at) => {
      const colour = COLOURS[at % COLOURS.length] ?? COLOURS[0]
      const path = points.map(([count, value]) => `${fixed(x(count))} ${fixed(y(value))}`).join('L')
      const dots = points.map(
        ([count, value]) =>
          `<circle cx="${fixed(x(count))}" cy="${fixed(y(value))}" r="2.5" fill="${colour}"/>`,
      )
      const key = `<text x="${WIDTH - RIGHT}" y="${16 + at * 12}" text-anchor="end" fill="${colour}">${name}</text>`
      return `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>${dots.join('')}${key}`
    }),
  ].join('')
}

/** The next 1, 2, 4 or 8 times a power of ten: quarters of it are short numbers. */
const roundUp = (value: number): number => {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 4, 8, 10].find((step) => value <= step * power) ?? 10)
}

const label = (value: number): string =>
  value >= 1000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(3)))

const fixed = (value: number): string => value.toFixed(1)
