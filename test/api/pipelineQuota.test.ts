import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiHarness, linear, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi({ limits: { pipelinesMax: 4, pageBytesMax: 4_000 } })
})
afterAll(() => api.close())

const put = (name: string, definition: unknown) => api.send('PUT', `/v1/pipelines/${name}`, definition)

test('one pipeline too many is 413 too_large; those that are there get new versions', async () => {
  for (const name of ['b', 'a', 'zz', 'd']) expect((await put(name, linear)).status).toBe(201)
  const refused = await put('e', linear)
  expect([refused.status, refused.body.code]).toEqual([413, 'too_large'])
  expect(refused.body.detail).toContain('4 pipelines')
  expect((await api.send('GET', '/v1/pipelines/e')).status).toBe(404)
  const again = await put('a', { ...linear, outOfOrder: 'hold' })
  expect(again.body).toMatchObject({ version: 2, outcome: 'defined' })
  expect((await put('d', linear)).body).toMatchObject({ outcome: 'unchanged' })
  // The same once the read model has them.
  expect((await api.send('GET', `/v1/pipelines?minPosition=${again.body.position}`)).status).toBe(200)
  expect((await put('e', linear)).status).toBe(413)
  expect((await put('a', linear)).body).toMatchObject({ version: 3 })
})

test('lists page in order of names, the newest version of each, and a page of large ones ends early', async () => {
  const statuses = Array.from({ length: 100 }, (_, index) => `a status with a longer name ${index}`)
  const { body } = await put('b', { statuses, outOfOrder: 'hold' })
  const first = await api.send('GET', `/v1/pipelines?minPosition=${body.position}`)
  expect(first.body.nextPageToken).toBe('')
  for (const pageSize of [1, 2, 3, 100]) {
    const found: (readonly [string, number])[] = []
    let token = ''
    do {
      const page = await api.send(
        'GET',
        `/v1/pipelines?pageSize=${pageSize}${token === '' ? '' : `&pageToken=${token}`}`,
      )
      expect(page.body.pipelines.length).toBeLessThanOrEqual(pageSize)
      for (const { name, version } of page.body.pipelines) found.push([name, version])
      token = page.body.nextPageToken
    } while (token !== '')
    expect(found).toEqual([
      ['a', 3],
      ['any', 1],
      ['b', 2],
      ['d', 1],
      ['zz', 1],
    ])
  }
})
