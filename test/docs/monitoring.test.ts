import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { defaultApiLimits } from '../../src/api/limits.ts'
import { createMetrics } from '../../src/api/metrics.ts'
import { Readiness } from '../../src/api/readiness.ts'
import { createShares } from '../../src/api/shares.ts'
import { type ApiHarness, eventually, startApi } from '../api/apiHarness.ts'

const folder = new URL('../../docs/monitoring/', import.meta.url)
const page = await readFile(new URL('README.md', folder), 'utf8')
const rules = z
  .strictObject({
    groups: z.array(
      z.strictObject({
        name: z.string(),
        rules: z.array(
          z.strictObject({
            alert: z.string(),
            expr: z.string(),
            for: z.string().optional(),
            labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
            annotations: z.strictObject({ summary: z.string(), description: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(await readFile(new URL('alerts.yml', folder), 'utf8')))
  .groups.flatMap((group) => group.rules)

const datasource = z.object({ type: z.literal('prometheus'), uid: z.literal('${' + 'datasource}') })
const dashboard = z
  .object({
    schemaVersion: z.number().min(39),
    templating: z.object({
      list: z.array(z.object({ name: z.string(), type: z.string(), definition: z.string().optional() })),
    }),
    panels: z.array(
      z.object({
        id: z.number(),
        type: z.string(),
        gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
        datasource: datasource.optional(),
        targets: z.array(z.object({ expr: z.string(), datasource })).optional(),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(new URL('dashboard.json', folder), 'utf8')))

const variables = dashboard.templating.list.flatMap(({ definition }) => (definition === undefined ? [] : [definition]))
const exprs = [
  ...rules.map((rule) => rule.expr),
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...variables,
]

interface Described {
  readonly type: string
  readonly labels: readonly string[]
}

/** By name, from the rows of the page's tables. */
const documented = new Map<string, Described>()
for (const [, name = '', type = '', labels = ''] of page.matchAll(/^\| `(\w+)` \| (\w+) \| (.*?) \| .+? \| .+ \|$/gm)) {
  documented.set(name, { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label) })
}

const registered = new Map<string, Described>()
let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
  const body = { service: 's', status: 'a', pipeline: 'any' }
  const { body: receipt } = await api.send('POST', '/v1/operations/one/reports', body)
  await api.send('GET', `/v1/operations?minPosition=${receipt.position}`)
  const { commands, log, access, drain, projections } = api
  const { projector, readModel } = projections
  const status = {
    checked: { operation: 1, count: 0 },
    drifted: { operation: 0, count: 0 },
    skipped: { too_long: 0, not_comparable: 0, unconfirmed: 0, unavailable: 0 },
    drifting: 0,
    tampered: 0,
    tampering: 0,
    secondsSinceCheck: 1,
  }
  const selfAudit = { status: () => status }
  const shares = createShares(defaultApiLimits)
  const context = { access, commands, log, projector, readModel, selfAudit, shares, draining: drain.signal }
  const none = () => 0
  const live = { eventStreams: none, operationStreams: none, dropped: none, turnedAway: none, waits: none }
  const metrics = createMetrics(context, new Readiness(context), { metrics: live })
  metrics.observer('/livez')('GET', { statusCode: 200, elapsedTime: 1 })
  const text = await eventually(
    () => metrics.text(),
    (found) => found.includes('\nnodejs_eventloop_lag_p99_seconds'),
  )
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
    const [, labels = ''] = new RegExp(`^${name}(?:_count)?\\{(.*)\\} `, 'm').exec(text) ?? []
    registered.set(name, { type, labels: [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label) })
  }
})
afterAll(() => api.close())

describe('docs/monitoring/README.md', () => {
  it('lists every metric that there is, and no other', () => {
    // What a process tells of itself differs with the system.
    const ours = (names: Iterable<string>) => [...names].filter((name) => name.startsWith('waybill_')).sort()
    expect(ours(registered.keys()).length).toBeGreaterThan(25)
    expect(ours(documented.keys())).toEqual(ours(registered.keys()))
    for (const name of registered.keys()) expect([...documented.keys()]).toContain(name)
    if (process.platform === 'linux') expect([...documented.keys()].sort()).toEqual([...registered.keys()].sort())
  })

  it('says the type and the labels of each', () => {
    for (const [name, { type, labels }] of registered) {
      expect([name, documented.get(name)?.type]).toEqual([name, type])
      // Not all have something to count in a test: no request of libuv, no garbage collection.
      if (labels.length > 0 || name.startsWith('waybill_')) {
        expect([name, documented.get(name)?.labels]).toEqual([name, labels])
      }
    }
  })
})

const words = new Set(
  `absent and avg by histogram_quantile increase label_values max min on or rate sum topk unless up vector without`.split(
    ' ',
  ),
)

/** Every name in an expression that must be a metric's. */
function metricsOf(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on)\s*\([^)]*\)/g, '')
    .replace(/label_values\((\w+), \w+\)/, '$1')
  return [...bare.matchAll(/[A-Za-z_]\w*/g)].map(([name]) => name).filter((name) => !words.has(name))
}

/** Labels that an expression asks for. */
function labelsOf(expr: string): string[] {
  const matched = [...expr.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label)
  const grouped = [...expr.matchAll(/\b(?:by|without|on)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(/,\s*/),
  )
  return [...matched, ...grouped]
}

function describedAs(name: string): Described | undefined {
  const whole = registered.get(name)
  if (whole !== undefined) return whole
  const histogram = registered.get(name.replace(/_(bucket|sum|count)$/, ''))
  return histogram?.type === 'histogram' ? histogram : undefined
}

describe('the alert rules and the dashboard', () => {
  it('ask only for metrics and labels that there are', () => {
    for (const expr of exprs) {
      const names = metricsOf(expr)
      if (!/\bup\b/.test(expr)) expect([expr, names.length]).not.toEqual([expr, 0])
      for (const name of names) expect([name, describedAs(name) !== undefined]).toEqual([name, true])
      const labels = new Set(['job', 'instance', 'le', ...names.flatMap((name) => documented.get(name)?.labels ?? [])])
      for (const name of names) for (const label of describedAs(name)?.labels ?? []) labels.add(label)
      for (const label of labelsOf(expr)) expect([expr, [...labels]]).toEqual([expr, expect.arrayContaining([label])])
    }
  })

  it('take rates of counters and histograms only', () => {
    for (const expr of exprs) {
      for (const [, name = ''] of expr.matchAll(/\b(?:rate|increase)\((\w+)/g)) {
        expect([name, describedAs(name)?.type]).toEqual([name, expect.stringMatching(/^(counter|histogram)$/)])
      }
    }
  })

  it('take what every node says alike once', () => {
    const alike =
      /\b(waybill_operations|waybill_operations_state|waybill_oldest_in_status_seconds|waybill_parked_streams)\b/
    for (const expr of exprs.filter((text) => alike.test(text))) expect(expr).toMatch(/^max\b/)
  })

  it('have a name each, and page for what must not wait', () => {
    const names = rules.map(({ alert }) => alert)
    expect(new Set(names).size).toBe(names.length)
    const paging = rules.filter(({ labels }) => labels.severity === 'critical').map(({ alert }) => alert)
    for (const name of ['WaybillDown', 'WaybillNotReady', 'WaybillNothingIsWritten', 'WaybillReadModelDrifts']) {
      expect(paging).toContain(name)
    }
  })

  it('fill the width of the dashboard without panels that overlap', () => {
    const taken = new Set<string>()
    for (const { gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken).not.toContain(`${x} ${y}`)
          expect(x).toBeLessThan(24)
          taken.add(`${x} ${y}`)
        }
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    for (const { type, targets = [], datasource: source } of dashboard.panels.filter((panel) => panel.type !== 'row')) {
      expect([type, targets.length > 0, source !== undefined]).toEqual([type, true, true])
    }
  })
})
