import type { Tally } from './tally.ts'

export interface ProgressView {
  /** Replaces what is shown (on a terminal), or adds a line now and then (off it). */
  update(lines: readonly string[], summary: string): void
  /** Leaves the last state on the screen. */
  end(): void
}

const lineEveryMs = 2_000

/** Writes to stderr, so that stdout stays for the verdict. Colour only on a terminal, and not with NO_COLOR. */
export function createProgressView(stream: NodeJS.WriteStream): ProgressView {
  const live = stream.isTTY === true
  let shown = 0
  let lastLineAt = -lineEveryMs
  return {
    update: (lines, summary) => {
      if (live) {
        const back = shown > 0 ? `\u001b[${shown}A` : ''
        // Wrapping is off meanwhile: a line too long for the terminal is cut, and moving back up counts rightly.
        stream.write(`\u001b[?7l${back}${lines.map((line) => `\u001b[2K${line}\n`).join('')}\u001b[?7h`)
        shown = lines.length
      } else if (performance.now() - lastLineAt >= lineEveryMs) {
        lastLineAt = performance.now()
        stream.write(`${summary}\n`)
      }
    },
    end: () => {
      shown = 0
    },
  }
}

export interface Paint {
  strong(text: string): string
  good(text: string): string
  bad(text: string): string
  quiet(text: string): string
}

export function createPaint(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>): Paint {
  const coloured = stream.isTTY === true && (env.NO_COLOR ?? '') === ''
  const paint =
    (code: number) =>
    (text: string): string =>
      coloured ? `\u001b[${code}m${text}\u001b[0m` : text
  return { strong: paint(1), good: paint(32), bad: paint(31), quiet: paint(2) }
}

/** What a person wants to see of a running demo: how far, how fast, where the documents are, what was absorbed. */
export function describeProgress(
  tally: Tally,
  totals: { readonly commands: number; readonly operations: number },
  elapsedMs: number,
  paint: Paint,
): { readonly lines: readonly string[]; readonly summary: string } {
  const share = totals.commands === 0 ? 1 : tally.commands / totals.commands
  const rate = elapsedMs === 0 ? 0 : (tally.commands * 1000) / elapsedMs
  const leftS = rate === 0 ? null : Math.ceil((totals.commands - tally.commands) / rate)
  const left = leftS === null ? '' : `, ${leftS} s left`
  const pace = `${thousands(rate)} reports/s${left}`
  const done = `${thousands(tally.commands)} of ${thousands(totals.commands)} reports`
  const outcome = (name: string): number => tally.outcomes.get(name) ?? 0
  const held = outcome('held predecessor_missing') + outcome('held requirement_unmet')
  const faults = [
    `repeats absorbed ${thousands(tally.duplicatesAbsorbed)}`,
    `hang-ups ${thousands(tally.hangUps)}`,
    `overtaken ${thousands(outcome('ignored overtaken'))}`,
    `older sequence ${thousands(outcome('ignored older_sequence'))}`,
    `held ${thousands(held)}`,
  ].join('  ')
  const latency = `write ${quantiles(tally.writeLatency)}   read ${quantiles(tally.readLatency)} (${thousands(tally.reads)} reads)`
  const statuses = [...tally.statuses]
    .filter(([, count]) => count > 0)
    .map(([status, count]) => `${status} ${thousands(count)}`)
    .join('  ')
  return {
    lines: [
      `${paint.good(bar(share, 30))} ${paint.strong(`${Math.floor(share * 100)}%`)} ${done}, ${pace}`,
      `  operations  ${thousands(tally.operationsDone)} of ${thousands(totals.operations)} through`,
      `  status      ${statuses}`,
      `  mishaps     ${faults}`,
      `  latency     ${latency}`,
    ],
    summary: `${Math.floor(share * 100)}% ${done}, ${pace}; ${faults}; write ${quantiles(tally.writeLatency)}`,
  }
}

export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width)
  return `${'█'.repeat(full)}${'░'.repeat(width - full)}`
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function quantiles(histogram: { quantile(share: number): number | null }): string {
  const show = (share: number): string => {
    const value = histogram.quantile(share)
    return value === null ? '-' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
  }
  return `p50 ${show(0.5)} p99 ${show(0.99)}`
}
