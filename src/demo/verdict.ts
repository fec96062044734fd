import { type Paint, quantiles, thousands } from './progress.ts'
import { type Check, checks, type Fault, type Findings } from './proof/findings.ts'
import type { Tally } from './tally.ts'

const faultsShownMax = 20

/** The table a person reads at the end: what was looked at how often, and what was wrong. */
export function describeVerdict(findings: Findings, paint: Paint): string {
  const rows = (Object.entries(checks) as [Check, string][]).map(([check, meaning]) => {
    const looks = findings.looks.get(check) ?? 0
    const faults = findings.faults.filter((fault) => fault.check === check).length
    const mark = faults > 0 ? paint.bad('FAULT') : looks > 0 ? paint.good('holds') : paint.quiet('  -  ')
    return `  ${mark}  ${thousands(looks).padStart(9)}  ${thousands(faults).padStart(6)}  ${meaning}`
  })
  const shown = findings.faults.slice(0, faultsShownMax).map((fault) => `  ${describeFault(fault)}`)
  const more = findings.faults.length - shown.length
  return [
    paint.quiet('           looked at  faults'),
    ...rows,
    ...(shown.length > 0 ? ['', ...shown] : []),
    ...(more > 0 ? [`  and ${thousands(more)} more`] : []),
    '',
    findings.faults.length === 0
      ? paint.good(paint.strong('Proved: no report was lost, applied twice or overwritten by an older one.'))
      : paint.bad(paint.strong(`NOT proved: ${thousands(findings.faults.length)} faults.`)),
  ].join('\n')
}

export function describeRun(tally: Tally, elapsedMs: number): string {
  const outcomes = [...tally.outcomes].sort((left, right) => right[1] - left[1])
  const perSecond = thousands((tally.commands * 1000) / Math.max(1, elapsedMs))
  return [
    `${thousands(tally.commands)} reports, sent ${thousands(tally.sendings)} times, ${(elapsedMs / 1000).toFixed(1)} s, ${perSecond} reports/s; ${thousands(tally.reads)} reads beside them`,
    `  answers     ${outcomes.map(([outcome, count]) => `${outcome} ${thousands(count)}`).join(', ')}`,
    `  mishaps     ${thousands(tally.duplicatesAbsorbed)} repeats, ${thousands(tally.hangUps)} hang-ups, ${thousands(tally.retries)} retries`,
    `  latency     write ${quantiles(tally.writeLatency)}, read ${quantiles(tally.readLatency)}`,
  ].join('\n')
}

function describeFault(fault: Fault): string {
  return `${fault.check}: ${fault.subject}: ${fault.detail}`
}
