import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failureProblem } from '../../src/api/problem.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const rebuild = randomUUID()
const path = `/${'a/'.repeat(500)}`

describe('a 404 names what is missing', () => {
  test.each([
    ['GET', '/v1/operations/nobody', 'There is no operation "nobody".'],
    ['GET', '/v1/operations/nobody/events', 'There is no operation "nobody".'],
    ['GET', '/v1/pipelines/nobody', 'There is no pipeline "nobody".'],
    ['GET', '/v1/pipelines/nobody/versions/2', 'There is no pipeline "nobody".'],
    ['GET', '/v1/pipelines/any/versions/2', 'Pipeline "any" has no version 2; its newest is 1.'],
    ['DELETE', '/v1/keys/nobody', 'There is no key "nobody" in force.'],
    ['GET', '/v1/projections/nobody', 'There is no projection "nobody".'],
    ['GET', `/v1/projections/operations/rebuilds/${rebuild}`, `Projection "operations" has no rebuild "${rebuild}".`],
    ['GET', '/operations/a?b=c', 'There is nothing at the path /operations/a. The page at /docs lists all paths.'],
    ['GET', '/docs/a?b=c', 'There is nothing at the path /docs/a. The page at /docs lists all paths.'],
    ['GET', path, `There is nothing at the path ${path.slice(0, 200)}.... The page at /docs lists all paths.`],
  ] as const)('%s %s', async (method, url, detail) => {
    const { status, body } = await api.send(method, url)
    expect([status, body.code, body.detail]).toEqual([404, 'not_found', detail])
  })
})

test('a command that fails says what it was for', () => {
  const failure = (subject: Parameters<typeof failureProblem>[3]) =>
    (['contention', 'unreadable'] as const).map(
      (code) => failureProblem({ code, retryAfterS: 1 }, undefined, 'k', subject).detail,
    )
  for (const subject of ['operation', 'pipeline', 'projection'] as const) {
    for (const detail of failure(subject)) {
      expect(detail.match(/operation|pipeline|projection/g), detail).toEqual([subject])
    }
  }
})
