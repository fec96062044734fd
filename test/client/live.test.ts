import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OperationChange, RecordedEvent, WaybillClient } from '../../src/client/client.ts'
import { createFaultyNetwork, type FaultyNetwork } from '../eventlog/faultyNetwork.ts'
import { type RunningService, startService } from './service.ts'

let service: RunningService
let network: FaultyNetwork

beforeAll(async () => {
  service = await startService()
  network = await createFaultyNetwork(service.url)
})

afterAll(async () => {
  await network.close()
  await service.close()
})

const reports = 300

/** Many reports on a few operations, while the reader's connection is cut again and again. */
async function reportAndCut(client: WaybillClient, prefix: string): Promise<void> {
  for (let from = 0; from < reports; from += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        client.report(`${prefix}-${(from + n) % 7}`, { service: 's', status: `s${from + n}`, pipeline: 'any' }),
      ),
    )
    network.cut()
  }
}

test('events: each once and in the order of the log, though the connection is cut all the time', async () => {
  const client = service.client()
  const reader = service.client({ baseUrl: network.connectionString })
  await client.open({ id: 'before', pipeline: 'any' })
  const { head } = await client.stats()
  const seen: RecordedEvent[] = []
  const reading = (async () => {
    for await (const event of reader.streamEvents({ after: head })) {
      seen.push(event)
      if (seen.length === reports + 7) return
    }
  })()
  await reportAndCut(client, 'events')
  await reading
  const logged: RecordedEvent[] = []
  for await (const event of client.events({ after: head })) logged.push(event)
  expect(seen).toEqual(logged)
  await Promise.all([client.close(), reader.close()])
})

test('operations: newer and newer, none left behind', async () => {
  const client = service.client()
  const reader = service.client({ baseUrl: network.connectionString })
  const latest = new Map<string, OperationChange>()
  const reading = (async () => {
    for await (const change of reader.streamOperations({ idPrefix: 'operations-' })) {
      const id = change.kind === 'operation' ? change.operation.id : change.id
      const before = latest.get(id)
      const revisionOf = (one: OperationChange) => (one.kind === 'operation' ? one.operation.revision : one.revision)
      if (before !== undefined) expect(revisionOf(change)).toBeGreaterThan(revisionOf(before))
      latest.set(id, change)
      const sum = [...latest.values()].reduce((total, one) => total + revisionOf(one), 0)
      if (sum === reports) return
    }
  })()
  await reportAndCut(client, 'operations')
  await reading
  for (const [id, change] of latest) {
    expect(change).toMatchObject({ kind: 'operation', operation: await client.get(id) })
  }
  await Promise.all([client.close(), reader.close()])
})

test('a position of another log is refused for good', async () => {
  const client = service.client()
  const token = `${'A'.repeat(22)}1`
  const reading = client.streamEvents({ after: token })[Symbol.asyncIterator]().next()
  await expect(reading).rejects.toMatchObject({ code: 'another_log', status: 410 })
  await client.close()
})

test('an operation that is not there yet is waited for, if so asked', async () => {
  const client = service.client()
  const opened = client.get('to-come', { until: 'changed', since: 0, waitS: 30 })
  const done = client.get('to-come', { until: 'done', waitS: 30 })
  await expect(client.get('to-come', { until: 'done' })).rejects.toMatchObject({ code: 'not_found' })
  await expect(client.get('never', { until: 'done', waitS: 0 })).rejects.toMatchObject({ code: 'not_found' })
  await client.report('to-come', { service: 's', status: 'x', pipeline: 'any' })
  expect((await opened).id).toBe('to-come')
  await client.report('to-come', { service: 's', status: 'y', final: 'succeeded' })
  expect(await done).toMatchObject({ state: 'succeeded', revision: 2 })
  await client.close()
})

test('an operation is waited for: until it has changed, until it is done, until the time is up', async () => {
  const client = service.client()
  await client.open({ id: 'awaited', pipeline: 'any' })
  const changed = client.get('awaited', { until: 'changed', since: 0, waitS: 30 })
  const done = client.get('awaited', { until: 'done', waitS: 30 })
  await client.report('awaited', { service: 's', status: 'x' })
  expect((await changed).revision).toBe(1)
  expect((await client.get('awaited', { until: 'changed', since: 0, waitS: 30 })).revision).toBe(1)
  await client.report('awaited', { service: 's', status: 'y', final: 'succeeded' })
  expect(await done).toMatchObject({ state: 'succeeded', revision: 2 })
  expect((await client.get('awaited', { until: 'changed', since: 2, waitS: 0 })).revision).toBe(2)
  await client.close()
})
