import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WaybillClient } from '../../src/client/client.ts'
import type { PipelineDefinition, RecordedEvent } from '../../src/client/contract.ts'
import { WaybillProblem } from '../../src/client/errors.ts'
import { type RunningService, startService } from './service.ts'

let service: RunningService

beforeAll(async () => {
  service = await startService()
})

afterAll(async () => {
  await service.close()
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function withClients(use: (client: WaybillClient, prefix: string) => Promise<void>): Promise<void> {
  for (const batching of [{}, false] as const) {
    const client = service.client({ batching })
    await use(client, batching === false ? 'single' : 'bulk')
    await client.close()
  }
}

const definition = { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'advance' } as const

describe('the client, against the service', () => {
  test('defines a pipeline, opens, reports, and reads its own write', async () => {
    await withClients(async (client, prefix) => {
      const name = `pipeline-${prefix}`
      const defined = await client.definePipeline(name, { ...definition, statuses: [...definition.statuses] })
      expect(defined).toMatchObject({ name, version: 1, outcome: 'defined' })
      const opened = await client.open({ id: `op-${prefix}`, pipeline: name, data: { a: 1 } }, { key: 'k' })
      expect(opened).toMatchObject({ operation: `op-${prefix}`, command: 'k', outcome: 'opened', revision: 0 })
      const report = { service: 'ocr', status: 'read', data: { text: 'ä\u2028"\\' }, sequence: 1 }
      const receipt = await client.report(`op-${prefix}`, report)
      expect(receipt).toMatchObject({ outcome: 'applied', revision: 1 })
      const operation = await client.get(`op-${prefix}`, { minPosition: receipt.position })
      expect(operation.data).toEqual({ a: 1, text: 'ä\u2028"\\' })
      expect(operation.tracks.main?.status).toBe('read')
      expect(await client.pipeline(name)).toMatchObject({ version: 1 })
      expect(await client.pipeline('any', { version: 1 })).toMatchObject({ name: 'any', definedAt: null })
      const stats = await client.stats({ minPosition: receipt.position })
      expect(stats.pipelines[name]).toMatchObject({ operations: 1, tracks: { main: { read: 1 } } })
      expect((await collect(client.pipelines({ pageSize: 1 }))).map((one) => one.name)).toContain(name)
    })
  })

  test('an operation without an id gets one, the same for the same key', async () => {
    await withClients(async (client, prefix) => {
      const [one, other] = await Promise.all([
        client.open({ pipeline: 'any' }, { key: `open-${prefix}` }),
        client.open({ pipeline: 'any' }, { key: `open-${prefix}` }),
      ])
      expect(other).toEqual(one)
    })
  })

  test('commands of one operation arrive in the order they were given, though nobody waits for them', async () => {
    await withClients(async (client, prefix) => {
      const id = `ordered-${prefix}`
      const receipts = await Promise.all(
        Array.from({ length: 50 }, (_, n) => client.report(id, { service: 's', status: `s${n}`, pipeline: 'any' })),
      )
      expect(receipts.map((receipt) => receipt.revision)).toEqual(receipts.map((_, n) => n + 1))
      const events = await collect(client.operationEvents(id, { pageSize: 7 }))
      expect(statuses(events)).toEqual(receipts.map((_, n) => `s${n}`))
      const backwards = await collect(client.operationEvents(id, { pageSize: 7, direction: 'backwards' }))
      expect(backwards).toEqual(events.toReversed())
    })
  })

  test('the log and the list are read to their end, page by page', async () => {
    const client = service.client()
    const receipts = await Promise.all(
      Array.from({ length: 25 }, (_, n) =>
        client.open({ id: `listed-${n}`, pipeline: 'any', metadata: { customer: 'ACME & Söhne' }, theme: 'x y' }),
      ),
    )
    const { head } = await client.stats()
    const listed = await collect(
      client.list(
        { metadata: { customer: 'ACME & Söhne' }, theme: 'x y' },
        { pageSize: 4, sort: 'id', minPosition: head },
      ),
    )
    expect(listed.map((one) => one.id)).toEqual(receipts.map((one) => one.operation).sort())
    const events = await collect(client.events({ pageSize: 10 }))
    expect(events.at(-1)?.position).toBe(head)
    const half = events[Math.floor(events.length / 2)]
    expect(await collect(client.events({ after: half?.position ?? '' }))).toEqual(
      events.slice(Math.floor(events.length / 2) + 1),
    )
    await client.close()
  })

  test('a refusal is a typed error, with what the service says of it, and is not sent again', async () => {
    await withClients(async (client, prefix) => {
      const id = `refused-${prefix}`
      await client.open({ id, pipeline: 'any' })
      await client.report(id, { service: 's', status: 'a' })
      const refused = await caught(client.report(id, { service: 's', status: 'b' }, { expectedRevision: 0, key: 'x' }))
      expect(refused).toBeInstanceOf(WaybillProblem)
      expect(refused).toMatchObject({
        code: 'revision_mismatch',
        status: 412,
        revision: 1,
        command: 'x',
        attempts: 1,
        mayHaveLanded: false,
      })
      expect(await caught(client.get(`absent-${prefix}`))).toMatchObject({
        code: 'not_found',
        status: 404,
        attempts: 1,
      })
      const bad = await caught(client.report(id, { service: '', status: 'b' }))
      expect(bad).toMatchObject({ code: 'invalid', errors: [{ pointer: '/service' }], mayHaveLanded: false })
      const cyclic: PipelineDefinition = { statuses: ['a', 'a'], outOfOrder: 'hold' }
      expect(await caught(client.definePipeline('bad', cyclic))).toMatchObject({
        code: 'invalid',
        command: expect.any(String),
      })
    })
  })
})

function statuses(events: readonly RecordedEvent[]): unknown[] {
  return events.filter((event) => event.type === 'StatusChanged').map((event) => event.data.to)
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}
