import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const report = { service: 's', status: 'a' }

describe('what is wrong is said in the words of JSON and HTTP, not of JavaScript or a library', () => {
  test.each([
    ['a missing member', { service: 's' }, '/status', 'is missing'],
    ['another type', { ...report, service: 5 }, '/service', 'must be a string'],
    ['a fraction', { ...report, sequence: 1.5 }, '/sequence', 'must be an integer'],
    ['a number too small', { ...report, sequence: -1 }, '/sequence', 'must be at least 0'],
    ['no such choice', { ...report, final: 'x' }, '/final', 'must be one of "succeeded", "failed"'],
    ['no object at all', [], '', 'must be an object'],
    ['null', null, '', 'must be an object'],
  ])('%s', async (_what, body, pointer, detail) => {
    const answer = await api.send('POST', '/v1/operations/wording/reports', JSON.stringify(body))
    expect(answer.status).toBe(400)
    expect(answer.body.errors).toContainEqual({ in: 'body', pointer, detail })
  })

  test.each([
    ['a parameter given twice', '/v1/operations?pageSize=1&pageSize=2', '/pageSize', 'is given more than once'],
    ['a choice given twice', '/v1/operations?sort=id&sort=-updatedAt', '/sort', 'is given more than once'],
    ['no integer', '/v1/operations?pageSize=x', '/pageSize', 'must be a number'],
    ['a number too large', '/v1/operations?pageSize=9999', '/pageSize', 'must be at most 1000'],
    ['an empty text', '/v1/operations?pageToken=', '/pageToken', 'must be at least 1 character long'],
    ['the only choice', '/v1/stats?consistency=weak', '/consistency', 'must be "strong"'],
  ])('%s', async (_what, url, pointer, detail) => {
    const answer = await api.send('GET', url)
    expect(answer.status).toBe(400)
    expect(answer.body.errors).toContainEqual({ in: 'query', pointer, detail })
  })

  test("a caller's own word stands in quotes", async () => {
    const answer = await api.send('POST', '/v1/operations', { pipeline: 'undefined' })
    expect(answer.body.detail).toContain('Pipeline "undefined" is not defined')
  })

  test('a bulk line', async () => {
    const [line] = await api.bulk([{ type: 'ReportStatus', operation: 'wording', service: 's' }])
    expect(line.problem.errors).toEqual([{ in: 'body', pointer: '/status', detail: 'is missing' }])
  })
})
