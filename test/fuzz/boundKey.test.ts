import { expect, test } from 'vitest'
import { BoundKeyWatch, boundKey, type LoggedEvent } from './boundKey.ts'

const opened = (stream: string, pipeline: string, actor: string): LoggedEvent => ({
  stream,
  type: 'OperationOpened',
  data: { pipeline: { name: pipeline } },
  metadata: { actor },
})

const reported = (stream: string, service: string): LoggedEvent => ({
  stream,
  type: 'StatusChanged',
  data: { service },
  metadata: { actor: boundKey.name },
})

test('what a bound key may do is no fault', () => {
  const watch = new BoundKeyWatch()
  expect(watch.faultOf(opened('operation-a', 'linear', 'somebody'))).toBe(null)
  expect(watch.faultOf(reported('operation-a', 'ocr'))).toBe(null)
  expect(watch.faultOf(opened('operation-b', 'p-1', boundKey.name))).toBe(null)
})

test('a report for another service, into another pipeline, and a definition of one are faults', () => {
  const watch = new BoundKeyWatch()
  watch.faultOf(opened('operation-a', 'linear', 'somebody'))
  watch.faultOf(opened('operation-b', 'any', 'somebody'))
  expect(watch.faultOf(reported('operation-a', 'bank'))).toMatch(/bank/)
  expect(watch.faultOf(reported('operation-b', 'ocr'))).toMatch(/any/)
  expect(watch.faultOf(opened('operation-c', 'parallel', boundKey.name))).toMatch(/parallel/)
  expect(watch.faultOf({ ...reported('pipeline-p-2', 'ocr'), type: 'PipelineDefined', data: {} })).toMatch(/p-2/)
})
