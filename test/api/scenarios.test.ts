import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isJsonObject, type Json, type JsonObject } from '../../src/operation/json.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'

/** What real senders do, as requests one after the other; of each answer, `want` names members that must be so. */
interface Scenario {
  readonly name: string
  /** Default: pipeline `any`. */
  readonly pipeline?: JsonObject
  readonly steps: readonly Step[]
  /** Of the operation in the end. */
  readonly end?: JsonObject
}

interface Step {
  readonly report?: JsonObject
  readonly open?: JsonObject
  /** A report's body as text. */
  readonly raw?: string
  /** A path. */
  readonly get?: string
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly want?: JsonObject
}

const scenarios: readonly Scenario[] = JSON.parse(
  readFileSync(new URL('./scenarios/rules.json', import.meta.url), 'utf8'),
)

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

/** Where an answer differs; `{"$absent": true}` stands for a member that must not be there. */
function differences(want: Json, got: unknown, at = ''): string[] {
  if (isJsonObject(want)) {
    if (want.$absent === true) return got === undefined ? [] : [`${at} should be absent, is ${JSON.stringify(got)}`]
    return Object.entries(want).flatMap(([member, value]) =>
      differences(value, isJsonObject(got) && Object.hasOwn(got, member) ? got[member] : undefined, `${at}/${member}`),
    )
  }
  if (Array.isArray(want)) {
    const items: unknown = got
    if (!Array.isArray(items) || items.length !== want.length)
      return [`${at}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`]
    return want.flatMap((value: Json, index) => differences(value, items[index], `${at}/${index}`))
  }
  return Object.is(want, got) ? [] : [`${at}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`]
}

test.each(scenarios.map((scenario, index) => [scenario.name, index, scenario] as const))(
  '%s',
  async (_, index, scenario) => {
    const id = `scenario-${index}`
    const pipeline = scenario.pipeline === undefined ? 'any' : `scenario-${index}`
    const said: string[] = []
    const check = (what: string, want: Json, answer: Awaited<ReturnType<ApiHarness['send']>>): void => {
      const got = { http: answer.status, ...answer.body }
      said.push(...differences(want, got).map((difference) => `${what}: ${difference} (${got.detail ?? ''})`))
    }
    if (scenario.pipeline !== undefined) {
      check('definition', { http: 201 }, await api.send('PUT', `/v1/pipelines/${pipeline}`, scenario.pipeline))
    }
    for (const [number, step] of scenario.steps.entries()) {
      const headers = { ...(step.key === undefined ? {} : { 'idempotency-key': step.key }), ...step.headers }
      const reports = `/v1/operations/${id}/reports`
      const what = `step ${number + 1}`
      const want = step.want ?? {}
      if (step.report) check(what, want, await api.send('POST', reports, { pipeline, ...step.report }, headers))
      if (step.open)
        check(what, want, await api.send('POST', '/v1/operations', { id, pipeline, ...step.open }, headers))
      if (step.raw)
        check(what, want, await api.send('POST', reports, step.raw.replaceAll('$pipeline', pipeline), headers))
      if (step.get) check(what, want, await api.send('GET', step.get.replaceAll('$id', id), undefined, step.headers))
    }
    if (scenario.end) {
      check('in the end', scenario.end, await api.send('GET', `/v1/operations/${id}?consistency=strong`))
    }
    expect(said).toEqual([])
  },
)
