import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
let position = ''

/** The join of `done` cannot be met any more once `check` has failed. */
const checked = {
  outOfOrder: 'hold',
  tracks: {
    main: {
      initial: 'new',
      transitions: { new: ['read'], read: ['done'] },
      final: { done: 'succeeded' },
      requires: { done: [{ track: 'check', in: ['passed'] }] },
    },
    check: {
      initial: 'queued',
      transitions: { queued: ['passed', 'broken'] },
      final: { passed: 'succeeded', broken: 'failed' },
      startsWhen: { track: 'main', in: ['read'] },
    },
  },
}

beforeAll(async () => {
  api = await startApi()
  await api.send('PUT', '/v1/pipelines/checked', checked)
  await api.send('PUT', '/v1/pipelines/plain', { statuses: ['new', 'read', 'done'], outOfOrder: 'advance' })
  await report('plain-1', 'read', { pipeline: 'plain' })
  await report('plain-2', 'done', { pipeline: 'plain' })
  await report('waits', 'done', { pipeline: 'checked' })
  await report('stuck', 'read', { pipeline: 'checked' })
  await report('stuck', 'broken', { track: 'check' })
  await api.send('POST', '/v1/operations', { id: 'silent', pipeline: 'plain' })
  await clockTick()
  await api.send('POST', '/v1/operations', { id: 'blank', pipeline: 'any' })
  await report('over', 'gone', { pipeline: 'any', final: 'failed' })
  // Heard of, and no progress.
  await report('plain-1', 'read', { data: { again: true } })
})
afterAll(() => api.close())

async function report(id: string, status: string, more: object = {}): Promise<void> {
  const answer = await api.send('POST', `/v1/operations/${id}/reports`, {
    service: 's',
    status,
    track: 'main',
    ...more,
  })
  expect(answer.status, answer.text).toBeLessThan(300)
  position = answer.body.position
  await clockTick()
}

/** Until what comes next has a later time. */
async function clockTick(): Promise<void> {
  for (const now = Date.now(); Date.now() <= now; ) await new Promise((resolve) => setImmediate(resolve))
}

async function list(query: string) {
  const answer = await api.send('GET', `/v1/operations?minPosition=${position}&${query}`)
  expect(answer.status, answer.text).toBe(200)
  return answer.body
}

async function ids(query: string): Promise<string[]> {
  return (await list(query)).operations.map(({ id }: { id: string }) => id)
}

describe('a list', () => {
  test.each([
    ['pipeline=plain&pipeline=any', ['blank', 'over', 'plain-1', 'plain-2', 'silent']],
    ['status=read&status=gone', ['over', 'plain-1', 'stuck']],
    ['track=main&status=read&status=done', ['plain-1', 'plain-2', 'stuck']],
    ['state=succeeded&state=failed', ['over', 'plain-2']],
    ['held=true', ['waits']],
    ['held=false&pipeline=checked', ['stuck']],
    ['blocked=true', ['stuck']],
    ['blocked=false&pipeline=checked', ['waits']],
    ['anyTrack=failed', ['over', 'stuck']],
    ['anyTrack=failed&state=active', ['stuck']],
    ['sinceBefore=2020-01-01T00:00:00Z', []],
    ['sinceBefore=2999-01-01T00:00:00Z', ['over', 'plain-1', 'plain-2', 'silent', 'stuck', 'waits']],
    ['sinceAfter=2020-01-01T00:00:00Z&pipeline=any', ['over']],
    ['track=check&sinceAfter=2020-01-01T00:00:00Z', ['stuck']],
    ['heardBefore=2020-01-01T00:00:00Z', ['blank', 'silent']],
  ])('filtered by %s', async (query, expected) => {
    expect(await ids(`sort=id&${query}`)).toEqual(expected)
  })

  test('tells by its times what is shown of an operation', async () => {
    const [shown] = (await list('idPrefix=plain-1')).operations
    const { since, heardAt } = shown.tracks.main
    expect(since < heardAt).toBe(true)
    const next = (time: string) => new Date(Date.parse(time) + 1).toISOString()
    expect(await ids(`idPrefix=plain-1&sinceBefore=${next(since)}`)).toEqual(['plain-1'])
    expect(await ids(`idPrefix=plain-1&sinceBefore=${since}`)).toEqual([])
    expect(await ids(`idPrefix=plain-1&sinceAfter=${since}`)).toEqual([])
    expect(await ids(`idPrefix=plain-1&heardBefore=${next(heardAt)}`)).toEqual(['plain-1'])
    expect(await ids(`idPrefix=plain-1&heardBefore=${heardAt}`)).toEqual([])
  })

  test.each([
    ['', ['plain-1', 'plain-2', 'waits', 'stuck', 'silent', 'over', 'blank']],
    ['track=check', ['stuck', 'waits']],
  ])('in order of since (%j) begins with the longest, and loses none that has no status', async (query, expected) => {
    expect(await ids(`sort=since&${query}`)).toEqual(expected)
    const seen: string[] = []
    let token = ''
    do {
      const page = await list(`sort=since&${query}&pageSize=1${token === '' ? '' : `&pageToken=${token}`}`)
      seen.push(...page.operations.map(({ id }: { id: string }) => id))
      token = page.nextPageToken
    } while (token !== '')
    expect(seen).toEqual(expected)
  })

  test('goes on with its pages when the same values are given in another order', async () => {
    const { nextPageToken } = await list('status=read&status=done&pageSize=1')
    expect(await ids(`status=done&status=read&status=done&pageToken=${nextPageToken}`)).toHaveLength(2)
    const other = await api.send('GET', `/v1/operations?status=read&pageToken=${nextPageToken}`)
    expect(other.body).toMatchObject({ code: 'invalid', errors: [{ in: 'query', pointer: '/pageToken' }] })
  })

  test.each(['plain', 'x', '1.5', '12345678901234567890'])(
    'takes no place %j for one in order of since',
    async (value) => {
      const { nextPageToken } = await list('sort=since&pageSize=1')
      const [digest] = JSON.parse(Buffer.from(nextPageToken, 'base64url').toString())
      const made = Buffer.from(JSON.stringify([digest, value, 'plain-1'])).toString('base64url')
      const answer = await api.send('GET', `/v1/operations?sort=since&pageToken=${made}`)
      expect(answer.body).toMatchObject({ code: 'invalid', errors: [{ pointer: '/pageToken' }] })
    },
  )

  test.each([
    ['held=yes', '/held', 'must be true or false'],
    ['held=', '/held', 'must be true or false'],
    ['held=true&held=false', '/held', 'is given more than once'],
    ['blocked=1', '/blocked', 'must be true or false'],
    ['anyTrack=succeeded', '/anyTrack', 'must be "failed"'],
    ['track=main&track=check', '/track', 'is given more than once'],
    ['theme=a&theme=b', '/theme', 'is given more than once'],
    ['sort=id&sort=since', '/sort', 'is given more than once'],
    ['idPrefix=a&idPrefix=b', '/idPrefix', 'is given more than once'],
    ['sinceBefore=yesterday', '/sinceBefore', 'is not an RFC 3339 time'],
    ['sinceAfter=2026-02-30T00:00:00Z', '/sinceAfter', 'is not an RFC 3339 time'],
    ['heardBefore=', '/heardBefore', 'is not an RFC 3339 time'],
    ['heardAfter=2026-01-01T00:00:00Z', '/heardAfter', 'is not a parameter'],
    ['state=active&state=gone', '/state/1', 'must be one of "active", "succeeded", "failed"'],
    ['status=a&status=', '/status/1', 'must be 1 to 128 printable characters'],
    ['pipeline=a&pipeline=%25', '/pipeline/1', 'must be a letter or digit, then up to 63 letters, digits, - and _'],
    [
      Array.from({ length: 51 }, (_, index) => `status=s${index}`).join('&'),
      '/status',
      'may be given 50 times at most',
    ],
  ])('%s is 400', async (query, pointer, detail) => {
    const answer = await api.send('GET', `/v1/operations?${query}`)
    expect([answer.status, answer.body.errors]).toEqual([400, [{ in: 'query', pointer, detail }]])
  })

  test('documents each parameter, and which may be repeated', async () => {
    const { body } = await api.send('GET', '/openapi.json')
    for (const path of ['/v1/operations', '/v1/operations/stream']) {
      const parameters: { name: string; in: string; description?: string; schema: { type?: string } }[] = body.paths[
        path
      ].get.parameters.filter(({ in: place }: { in: string }) => place === 'query')
      expect(parameters.filter(({ description }) => description === undefined)).toEqual([])
      const typed = (type: string) =>
        parameters.flatMap(({ name, schema }) => (schema.type === type ? name : [])).sort()
      expect(typed('array')).toEqual(['pipeline', 'state', 'status'])
      expect(typed('boolean')).toEqual(['blocked', 'held'])
    }
  })
})
