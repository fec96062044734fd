import { connect, Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Connection,
  createRequestScheduler,
  requestsInLineMax,
  requestsPerTick,
} from '../../src/api/requestScheduler.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'

/** One turn of the event loop: what its check phase had when it began. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

function connection(): Connection & { readonly said: string[] } {
  const said: string[] = []
  const one = {
    said,
    pause: () => {
      said.push('pause')
      return one as never
    },
    resume: () => {
      said.push('resume')
      return one as never
    },
  }
  return one
}

describe('the scheduler of requests', () => {
  it('begin as many at once as a turn may, and the others later, in order', async () => {
    const scheduler = createRequestScheduler()
    const begun: number[] = []
    const count = 2 * requestsPerTick + 10
    for (let n = 0; n < count; n += 1) scheduler.enter(connection(), () => begun.push(n))
    expect(begun).toHaveLength(requestsPerTick)
    await nextTurn()
    expect(begun).toHaveLength(2 * requestsPerTick)
    // One that comes now goes behind those in line.
    scheduler.enter(connection(), () => begun.push(count))
    expect(begun).toHaveLength(2 * requestsPerTick)
    await nextTurn()
    expect(begun).toEqual(Array.from({ length: count + 1 }, (_, n) => n))
    // A turn that had nothing in line leaves the whole of it to who comes next.
    await nextTurn()
    for (let n = 0; n < requestsPerTick; n += 1) scheduler.enter(connection(), () => begun.push(n))
    expect(begun).toHaveLength(count + 1 + requestsPerTick)
  })

  it('come to a connection with many requests as often as to any other', async () => {
    const scheduler = createRequestScheduler()
    for (let n = 0; n < requestsPerTick; n += 1) scheduler.enter(connection(), () => undefined)
    const begun: string[] = []
    const [greedy, modest] = [connection(), connection()]
    for (let n = 0; n < 3; n += 1) scheduler.enter(greedy, () => begun.push(`greedy ${n}`))
    for (let n = 0; n < 2; n += 1) scheduler.enter(modest, () => begun.push(`modest ${n}`))
    await nextTurn()
    expect(begun).toEqual(['greedy 0', 'modest 0', 'greedy 1', 'modest 1', 'greedy 2'])
  })

  it('come to an owner with many connections as often as to any other', async () => {
    const scheduler = createRequestScheduler(({ headers }) => headers.authorization ?? '')
    for (let n = 0; n < requestsPerTick; n += 1) scheduler.enter(connection(), () => undefined)
    const begun: string[] = []
    const enter = (owner: string, name: string, of = connection()) => {
      const request = { headers: { authorization: owner }, socket: new Socket() }
      scheduler.enter(of, () => begun.push(name), request)
      return of
    }
    for (let n = 0; n < 3; n += 1) enter('flooder', `flooder ${n}`)
    const modest = enter('modest', 'modest 0')
    enter('modest', 'modest 1', modest)
    // A connection may speak for one owner after the other: a proxy's does.
    enter('flooder', 'flooder 3', modest)
    await nextTurn()
    expect(begun).toEqual(['flooder 0', 'modest 0', 'flooder 1', 'modest 1', 'flooder 2', 'flooder 3'])
  })

  it('stop reading from a connection with too many in line, until there are half as many', async () => {
    const scheduler = createRequestScheduler()
    for (let n = 0; n < requestsPerTick; n += 1) scheduler.enter(connection(), () => undefined)
    const greedy = connection()
    let left = requestsPerTick + requestsInLineMax
    for (let n = left; n > 0; n -= 1) {
      scheduler.enter(greedy, () => {
        left -= 1
      })
    }
    expect(greedy.said).toEqual(['pause'])
    await nextTurn()
    expect(left).toBe(requestsInLineMax)
    expect(greedy.said).toEqual(['pause'])
    await nextTurn()
    expect(left).toBe(0)
    expect(greedy.said).toEqual(['pause', 'resume'])
  })
})

describe('a connection that sends thousands of requests at once', () => {
  let api: ApiHarness
  let port: number
  beforeAll(async () => {
    api = await startApi()
    port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port)
  })
  afterAll(() => api.close())

  it('gets all of its answers, in order', async () => {
    const count = 5_000
    const socket = connect({ port, host: '127.0.0.1' })
    let text = ''
    const answered = new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', () => reject(new Error(`closed after ${text.length} characters`)))
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1')
        if (text.includes(`"instance":"/${count - 1}"`)) resolve()
      })
    })
    socket.write(Array.from({ length: count }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''))
    await answered
    const instances = [...text.matchAll(/"instance":"\/(\d+)"/g)].map(([, n]) => Number(n))
    expect(instances).toEqual(Array.from({ length: count }, (_, n) => n))
    socket.removeAllListeners('close')
    socket.destroy()
  })
})

describe('requests that stood in line for too long', () => {
  let api: ApiHarness
  beforeAll(async () => {
    // None may stand in line at all.
    api = await startApi({ limits: { requestLineMsMax: 0 } })
  })
  afterAll(() => api.close())

  it('are 503 and nothing of them is carried out; those begun at once are', async () => {
    const count = requestsPerTick + 5
    const report = { service: 's', status: 'a', pipeline: 'any' }
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => api.send('POST', `/v1/operations/late-${n}/reports`, report)),
    )
    const refused = answers.flatMap(({ status, body, headers }, n) => (status === 503 ? [{ n, body, headers }] : []))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(count - refused.length)
    expect(refused).toHaveLength(5)
    for (const { n, body, headers } of refused) {
      expect(body).toMatchObject({ code: 'overloaded' })
      expect(headers['retry-after']).toBe('1')
      expect((await api.send('GET', `/v1/operations/late-${n}`)).status).toBe(404)
    }
  })
})
