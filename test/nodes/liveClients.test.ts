import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { startCuttingProxy } from '../live/clients/cuttingProxy.ts'
import { eventSourceClients } from '../live/clients/eventSourceClients.ts'
import { follow, onceEach } from '../live/clients/following.ts'
import { createMigratedDatabase } from '../support/database.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import type { NodeProcess } from './support/nodeProcess.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'
import { BrokenConnectionError } from './support/waybillHttp.ts'

/** Reports on their way while a node goes. */
const lanes = 4

describe('clients that follow a stream', { timeout: 180_000 }, () => {
  let service: BuiltService

  beforeAll(async () => {
    service = await bundledService()
  })

  it('miss nothing while the service is stopped in order, killed and started again', async () => {
    const database = await createMigratedDatabase()
    onTestFinished(() => database.drop({ allowOpen: true }))
    const starter = startedForTest(service, {
      DATABASE_URL: database.connectionString,
      WAYBILL_STREAM_RETRY_MS: '10',
    })
    const portOf = (node: NodeProcess) => Number(new URL(node.url).port)
    let node = await starter.start().ready()
    const proxy = await startCuttingProxy(portOf(node), () => 'through')
    onTestFinished(() => proxy.close())

    const followers = eventSourceClients.map((client) => {
      const follower = follow(client, `${proxy.url}/v1/events/stream?after=head`)
      onTestFinished(() => follower.close())
      return { client, follower }
    })
    const metric = new RegExp(`^waybill_live_streams\\{of="events"\\} ${followers.length}$`, 'm')
    await until('all follow', 30_000, async () => metric.test((await node.http.get('/metrics')).text))

    let expected: string[] = []
    let reported = 0
    const report = async (operation: string) => {
      reported += 1
      const body = { pipeline: 'any', service: 'svc', status: `s${reported}` }
      const headers = { 'idempotency-key': `${reported}` }
      await until('the report is taken', 60_000, async () => {
        try {
          const { status } = await node.http.post(`/v1/operations/${operation}/reports`, body, headers)
          return status === 200 || status === 201
        } catch (error) {
          if (error instanceof BrokenConnectionError) return false
          throw error
        }
      })
    }
    /** Reports all the while that `work` takes, and some more. */
    const reporting = async (work: () => Promise<void>) => {
      let isOver = false
      const reports = Array.from({ length: lanes }, async (_, lane) => {
        while (!isOver) await report(`op-${lane}`)
        for (let more = 0; more < 5; more += 1) await report(`op-${lane}`)
      })
      await work()
      isOver = true
      await Promise.all(reports)
    }
    const allCaughtUp = async () => {
      const { text } = await node.http.get('/v1/events', { accept: 'application/x-ndjson' })
      expected = text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
        .map(({ stream, revision }) => `${stream}@${revision}`)
      const last = expected.at(-1) ?? ''
      await Promise.all(followers.map(({ follower }) => follower.until((told) => told.includes(last))))
    }
    const startAgain = async () => {
      node = await starter.start().ready()
      proxy.upstreamPort = portOf(node)
    }

    await report('op-0')
    await allCaughtUp()
    await reporting(async () => {
      const stopped = node
      stopped.signal('SIGTERM')
      await stopped.ended
      await startAgain()
    })
    await allCaughtUp()
    await reporting(async () => {
      await node.kill()
      await startAgain()
    })
    await allCaughtUp()
    for (const { client, follower } of followers) {
      expect(onceEach(client, follower.told), client.name).toEqual(expected)
    }
  })
})
