import { table } from './table.mjs'

/** What one figure came to, as soon as it is known. */
export function printFigure(result) {
  process.stdout.write(`\n== ${result.figure}: ${result.title} (${Math.round(result.tookS)} s; ${result.alone})\n`)
  for (const rows of result.tables ?? []) process.stdout.write(`${table(rows)}\n`)
  process.stdout.write(table(result.lines.map((line) => rowOf(line))))
  if (result.error !== null) process.stdout.write(`BROKE: ${result.error}\n`)
  for (const note of result.notes ?? []) process.stdout.write(`${note}\n`)
}

/** All of them, a line each, with how to run it alone. */
export function printSummary(results, { smoke }) {
  const heading = ['what', 'value', '(min - max)', 'reach', 'aim', 'verdict', 'alone']
  const rows = results.flatMap(({ lines, alone }) => lines.map((line) => [...rowOf(line), alone]))
  process.stdout.write(`\n${table([heading, ...rows])}`)
  if (smoke) process.stdout.write('Tiny sizes, to see that all figures run: these numbers mean nothing.\n')
}

function rowOf({ what, unit, value, min, max, reach, aim, verdict, reason }) {
  if (value === undefined) return [what, 'not run', reason, number(reach), number(aim), verdict]
  const between = min === undefined ? '' : `(${number(min)} - ${number(max)})`
  return [what, `${number(value)} ${unit}`.trimEnd(), between, number(reach), number(aim), verdict]
}

/** Three digits that count, or all before the point. */
export function number(value) {
  if (value === undefined || value === null) return ''
  if (!Number.isFinite(value)) return String(value)
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return Number(value.toFixed(digits)).toLocaleString('en-US')
}
