import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { receiptOf } from './support/racingClients.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'
import { BrokenConnectionError, WaybillHttp } from './support/waybillHttp.ts'
import { expectOnce, expectSoundLog, type Receipt, readWholeLog } from './support/wholeLog.ts'

const clientCount = 64

/** What became of one report of a client that goes on until there is nobody left to talk to. */
type Fate =
  | { readonly kind: 'taken'; readonly receipt: Receipt }
  | {
      readonly kind: 'refused'
      readonly operation: string
      readonly key: string
      readonly code: unknown
      readonly text: string
    }
  | { readonly kind: 'broken'; readonly operation: string; readonly key: string; readonly connection: 'new' | 'kept' }

/** Of an orderly end under load, which takes a second on an idle machine: below the 30 s that whoever stops it may count on. */
const endMsMax = 20_000
/** An orderly end that is not hurried takes longer than a test may. */
const patient = { WAYBILL_SHUTDOWN_S_MAX: '600', WAYBILL_BODY_MS_MAX: '600000' }

describe('a node that is told to stop while clients report over connections they keep', () => {
  let service: BuiltService
  let database: TestDatabase
  let node: NodeProcess

  beforeAll(async () => {
    service = await bundledService()
  })
  beforeEach(async () => {
    database = await createMigratedDatabase()
    node = await startedForTest(service, { DATABASE_URL: database.connectionString }).start().ready()
  })
  afterEach(async () => {
    await node.kill()
    await database.drop({ allowOpen: true })
  })

  it('answers each that it accepted, refuses the others in order, and ends in time', async () => {
    const fates: Fate[] = []
    const clients = Array.from({ length: clientCount }, (_, number) => reportUntilGone(node.url, number, fates))
    const readiness = watchReadiness(node)
    const late = await openLateRequest(node)
    await until('1,000 reports are answered', patienceMs, () => fates.length >= 1_000)

    node.signal('SIGTERM')
    const toldAtMs = performance.now()
    await until('it says that it is no longer ready', patienceMs, () => readiness.codes.includes('not_ready'))
    const lateAnswer = await late.finish()
    const ended = await node.ended
    expect(performance.now() - toldAtMs).toBeLessThan(endMsMax)
    expect(ended).toEqual({ code: 0, signal: null })
    await Promise.all(clients)
    await readiness.end

    // Said before anything was refused: a load balancer has seen it, and nobody who is sent here later is cut off.
    expect(readiness.codes.indexOf('not_ready')).toBeLessThan(readiness.codes.length - 1)
    expect(lateAnswer).toMatch(/^HTTP\/1\.1 (201|503) /)
    const log = await readWholeLog(database.connectionString)
    expectSoundLog(log)
    for (const fate of fates) {
      if (fate.kind === 'taken') {
        expectOnce(log, fate.receipt)
        continue
      }
      const events = log.streams.get(`operation-${fate.operation}`)?.filter(({ key }) => key === fate.key) ?? []
      expect({ ...fate, events }).toEqual({ ...fate, events: [] })
      if (fate.kind === 'refused') expect(fate.code, fate.text).toBe('overloaded')
    }
    // No connection that had carried an answer was cut under a request.
    expect(fates.filter((fate) => fate.kind === 'broken' && fate.connection === 'kept')).toEqual([])
    expect(log.events.filter(({ type }) => type === 'StatusChanged').length).toBe(
      fates.filter(({ kind }) => kind === 'taken').length + (lateAnswer.startsWith('HTTP/1.1 201') ? 1 : 0),
    )
  })

  it('answers each line of a bulk request that it took, ends the answer, and has tried no other', async () => {
    const bulk = openBulk(node)
    const sending = bulk.sendUntilAnswered()
    await until('results come', patienceMs, () => bulk.results.length >= 500)
    node.signal('SIGTERM')
    // The answer is whole: it ends, it does not break.
    await sending
    expect(await node.ended).toEqual({ code: 0, signal: null })
    const log = await readWholeLog(database.connectionString)
    expectSoundLog(log)
    // Its last line says why it ends, and up to where lines were read.
    const end: unknown = bulk.results.pop()
    expect(end).toMatchObject({ httpStatus: 503, readUpTo: bulk.results.length, problem: { code: 'overloaded' } })
    for (const [line, { httpStatus, command, ...result }] of bulk.results.entries()) {
      expect({ command, httpStatus }).toEqual({ command: `line-${line}`, httpStatus: 201 })
      expectOnce(log, { command, ...result })
    }
    expect(log.streams.size).toBe(bulk.results.length)
  })

  it('ends at once at a second signal', async () => {
    const waiting = await startedForTest(service, { DATABASE_URL: database.connectionString, ...patient })
      .start()
      .ready()
    // Never finished: the orderly end waits for it.
    await openLateRequest(waiting)
    waiting.signal('SIGTERM')
    await waiting.says(/^Stopping/)
    waiting.signal('SIGTERM')
    expect(await waiting.ended).toEqual({ code: 1, signal: null })
  })
})

async function reportUntilGone(url: string, number: number, fates: Fate[]): Promise<void> {
  const http = new WaybillHttp(url)
  for (let n = 0; ; n += 1) {
    const operation = `op-${number}-${n % 4}`
    const key = `key-${n}`
    const body = { service: `service ${number}`, status: `step ${n}`, pipeline: 'any' }
    try {
      const answer = await http.post(`/v1/operations/${operation}/reports`, body, { 'idempotency-key': key })
      const receipt = receiptOf(answer)
      if (receipt !== null) fates.push({ kind: 'taken', receipt })
      else fates.push({ kind: 'refused', operation, key, code: answer.body.code, text: answer.text })
      if (receipt === null) await delay(Math.random() * 20)
    } catch (error) {
      if (!(error instanceof BrokenConnectionError)) throw error
      if (error.connection === 'refused') break
      fates.push({ kind: 'broken', operation, key, connection: error.connection })
    }
  }
  http.close()
}

/** Asks again and again, as a load balancer does, over a new connection each time. */
function watchReadiness(node: NodeProcess): { readonly codes: string[]; readonly end: Promise<void> } {
  const codes: string[] = []
  const watch = async () => {
    for (;;) {
      const http = new WaybillHttp(node.url)
      try {
        const { status, body } = await http.get('/readyz')
        codes.push(status === 200 ? 'ready' : String(body.code))
      } catch {
        codes.push('gone')
        return
      } finally {
        http.close()
      }
      await delay(10)
    }
  }
  return { codes, end: watch() }
}

/** A bulk request that goes on until its answer ends: each line opens an operation of its own. */
function openBulk(node: NodeProcess) {
  const { hostname, port } = new URL(node.url)
  const headers = { 'content-type': 'application/x-ndjson' }
  const outgoing = request({ method: 'POST', hostname, port, path: '/v1/commands', headers })
  const results: (Receipt & { readonly httpStatus: number })[] = []
  let answered = false
  const answer = new Promise<void>((resolve, reject) => {
    // After the answer, the connection may go while lines are still being written.
    outgoing.on('error', (error) => {
      if (!answered) reject(error)
    })
    outgoing.on('response', (incoming) => {
      let text = ''
      incoming.on('error', reject)
      incoming.on('data', (chunk: Buffer) => {
        const lines = (text + chunk.toString()).split('\n')
        text = lines.pop() ?? ''
        for (const line of lines) results.push(JSON.parse(line) as (typeof results)[number])
      })
      incoming.on('end', () => {
        answered = true
        if (text === '') resolve()
        else reject(new Error(`The answer ends in ${text}`))
      })
    })
  })
  return {
    results,
    async sendUntilAnswered() {
      for (let n = 0; !answered; n += 1) {
        const body = { type: 'ReportStatus', operation: `bulk-${n}`, service: 'b', status: 's', pipeline: 'any' }
        const room = outgoing.write(`${JSON.stringify({ command: `line-${n}`, ...body })}\n`)
        if (!room) await Promise.race([answer, once(outgoing, 'drain').catch(() => undefined)])
        else if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await answer
      outgoing.destroy()
    },
  }
}

/** A report whose body has begun to arrive. */
async function openLateRequest(node: NodeProcess): Promise<{ finish(): Promise<string> }> {
  const { hostname, port } = new URL(node.url)
  const body = JSON.stringify({ service: 'slow', status: 'late', pipeline: 'any' })
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk.toString()
  })
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve())
    socket.on('error', () => undefined)
  })
  const head = ['POST /v1/operations/late/reports HTTP/1.1', 'host: localhost', 'content-type: application/json']
  await new Promise<void>((resolve) => {
    socket.write(`${head.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`, () => resolve())
  })
  return {
    async finish() {
      socket.write(body.slice(10))
      await closed
      return answer
    },
  }
}
