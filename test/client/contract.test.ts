import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import {
  openOperationBody,
  openOperationLine,
  type receipt,
  reportBody,
  reportLine as reportLineSchema,
} from '../../src/api/contract/commands.ts'
import type { operation, operationListQuery } from '../../src/api/contract/operations.ts'
import type { definedPipeline, definitionBody, pipeline } from '../../src/api/contract/pipelines.ts'
import type { problem } from '../../src/api/contract/problem.ts'
import type { recordedEvent } from '../../src/api/contract/recordedEvent.ts'
import type { stats } from '../../src/api/contract/service.ts'
import type * as client from '../../src/client/client.ts'
import { openLine, reportLine } from '../../src/client/commandLine.ts'

// The compiler does the work here: a type of the client that is not the service's own fails `npm run check:types`.

type Same<One, Other> = [One] extends [Other] ? ([Other] extends [One] ? true : false) : false

const same = <One, Other>(is: Same<One, Other>) => is

type ListQuery = z.infer<ReturnType<typeof operationListQuery>>
type Filter = Omit<client.OperationListFilter, 'metadata'>
/** Parameters that may be repeated: the service gets a list, and the client also takes one value. */
type Repeated = { [Name in 'pipeline' | 'status' | 'state']: client.OneOrMore<NonNullable<ListQuery[Name]>[number]> }
type Asked = Omit<Pick<ListQuery, keyof Filter>, keyof Repeated> & Repeated

describe('the types of the client', () => {
  test("are the contract's, both ways", () => {
    expect([
      same<client.OpenOperation, z.infer<typeof openOperationBody>>(true),
      same<client.Report, z.infer<typeof reportBody>>(true),
      same<client.Receipt, z.infer<typeof receipt>>(true),
      same<client.Operation, z.infer<typeof operation>>(true),
      same<client.RecordedEvent, z.infer<typeof recordedEvent>>(true),
      same<client.Pipeline, z.infer<typeof pipeline>>(true),
      same<client.DefinedPipeline, z.infer<typeof definedPipeline>>(true),
      same<client.PipelineDefinition, z.infer<typeof definitionBody>>(true),
      same<client.Stats, z.infer<typeof stats>>(true),
      same<Required<Filter>, Required<Asked>>(true),
      same<client.SortOrder, NonNullable<z.infer<ReturnType<typeof operationListQuery>>['sort']>>(true),
      // One way only: a newer service may have codes that this client has not heard of.
      same<z.infer<typeof problem> extends client.ProblemDocument ? true : false, true>(true),
      same<client.KnownProblemCode, z.infer<typeof problem>['code']>(true),
    ]).not.toContain(false)
  })
})

describe('what the client sends', () => {
  const report: Required<Omit<client.Report, 'final'>> = {
    service: 'ocr',
    status: 'a status',
    track: 'main',
    sequence: 3,
    observedAt: '2026-01-01T00:00:00Z',
    data: { text: '"\\\n\u2028ä€😀', nested: { list: [1, null, true] } },
    metadata: {},
    pipeline: 'invoice',
    pipelineVersion: 2,
  }

  test('a report, as a body and as a line', () => {
    const { body, line } = reportLine('op:1', report, 'k"1', 4)
    expect(reportBody.parse(JSON.parse(body))).toEqual(report)
    expect(line.endsWith('}\n')).toBe(true)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    const sent = reportLineSchema.parse(JSON.parse(line))
    expect(sent).toEqual({ type: 'ReportStatus', command: 'k"1', operation: 'op:1', expectedRevision: 4, ...report })
  })

  test('an opening, with an id and without', () => {
    const opening = { pipeline: 'invoice', theme: null, data: { a: 1 } }
    const named = openLine({ id: 'op-1', ...opening }, 'k', undefined)
    expect(openOperationBody.parse(JSON.parse(named.body))).toEqual({ id: 'op-1', ...opening })
    expect(openOperationLine.parse(JSON.parse(named.line))).toEqual({
      type: 'OpenOperation',
      command: 'k',
      operation: 'op-1',
      ...opening,
    })
    const unnamed = openLine({ pipeline: 'any' }, 'k', undefined)
    expect(openOperationBody.parse(JSON.parse(unnamed.body))).toEqual({ pipeline: 'any' })
    expect(openOperationLine.parse(JSON.parse(unnamed.line))).toEqual({
      type: 'OpenOperation',
      command: 'k',
      pipeline: 'any',
    })
  })
})
