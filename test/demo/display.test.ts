import { describe, expect, it } from 'vitest'
import { readOptions } from '../../src/demo/options.ts'
import { bar, createPaint, createProgressView, describeProgress } from '../../src/demo/progress.ts'
import { createFindings } from '../../src/demo/proof/findings.ts'
import { createLatencyHistogram, createTally } from '../../src/demo/tally.ts'
import { UsageError } from '../../src/demo/usageError.ts'
import { describeVerdict } from '../../src/demo/verdict.ts'

const plain = createPaint(process.stdout, { NO_COLOR: '1' })

/** What the views ask of a stream, kept as text. */
function fakeStream(isTTY: boolean): NodeJS.WriteStream & { written: string } {
  const stream = Object.create(process.stderr)
  return Object.assign(stream, {
    isTTY,
    written: '',
    write(text: string) {
      stream.written += text
      return true
    },
  })
}

describe('the options', () => {
  it('have defaults, and take the service to use from WAYBILL_URL', () => {
    expect(readOptions([], {})).toMatchObject({ operations: 3_000, services: 10, waybill: null, json: false })
    expect(readOptions(['--seed', '7'], { WAYBILL_URL: 'http://localhost:8080' })).toMatchObject({
      seed: 7,
      waybill: { baseUrl: 'http://localhost:8080' },
    })
    const environment = { WAYBILL_URL: 'http://localhost:8080', WAYBILL_KEY: 'wb_1_2' }
    expect(readOptions([], environment)?.waybill).toEqual({ baseUrl: 'http://localhost:8080', apiKey: 'wb_1_2' })
    expect(readOptions(['--help'], {})).toBeNull()
  })

  it.each([
    ['--operations', '0'],
    ['--operations', '1.5'],
    ['--services', '9'],
    ['--url', 'nowhere'],
    ['--key-file', 'nowhere'],
    ['--unknown', '1'],
  ])('refuse %s %s', (option, value) => {
    expect(() => readOptions([option, value], {})).toThrow(UsageError)
  })
})

describe('the progress', () => {
  it('redraws on a terminal, and adds plain lines off it, not more than one in two seconds', () => {
    const terminal = fakeStream(true)
    const live = createProgressView(terminal)
    live.update(['one', 'two'], 'summary')
    live.update(['three', 'four'], 'summary')
    expect(terminal.written).toContain('\u001b[2A')
    expect(terminal.written).not.toContain('summary')

    const file = fakeStream(false)
    const lines = createProgressView(file)
    lines.update(['one'], 'first')
    lines.update(['one'], 'second')
    expect(file.written).toBe('first\n')
  })

  it('says how far, how fast and how long still, without colour where none is wanted', () => {
    const tally = Object.assign(createTally(), { commands: 2_500 })
    tally.outcomes.set('held requirement_unmet', 12)
    const { lines, summary } = describeProgress(tally, { commands: 10_000, operations: 900 }, 1_000, plain)
    expect(lines[0]).toContain('25% 2,500 of 10,000 reports, 2,500 reports/s, 3 s left')
    expect(summary).toContain('held 12')
    expect(lines.join('')).not.toContain('\u001b')
    expect(bar(0.5, 4)).toBe('██░░')
  })
})

describe('the latency histogram', () => {
  it('gives quantiles within its buckets', () => {
    const histogram = createLatencyHistogram()
    expect(histogram.quantile(0.5)).toBeNull()
    for (let latencyMs = 1; latencyMs <= 1_000; latencyMs += 1) histogram.add(latencyMs)
    expect(histogram.quantile(0.5)).toBeGreaterThan(480)
    expect(histogram.quantile(0.5)).toBeLessThan(522)
    expect(histogram.quantile(0.99)).toBeGreaterThan(950)
    expect(histogram.quantile(0.99)).toBeLessThan(1_032)
  })
})

describe('the verdict', () => {
  it('proves only when no check found a fault', () => {
    const findings = createFindings()
    findings.looked('recorded', 1_234)
    expect(describeVerdict(findings, plain)).toContain('Proved')
    findings.fault('recorded', 'demo-1', 'k1 was taken and is not in the log')
    const verdict = describeVerdict(findings, plain)
    expect(verdict).toContain('NOT proved: 1 faults')
    expect(verdict).toContain('recorded: demo-1: k1 was taken and is not in the log')
    expect(verdict).toMatch(/FAULT +1,234 +1 /)
  })
})
