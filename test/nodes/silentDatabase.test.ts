import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createFaultyNetwork } from '../eventlog/faultyNetwork.ts'
import { createMigratedDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import { projectingNode } from './support/projectingNode.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'
import { WaybillHttp } from './support/waybillHttp.ts'

const body = { service: 'a', status: 'b', pipeline: 'any' }

describe('a node whose database has fallen silent', () => {
  let service: BuiltService

  beforeAll(async () => {
    service = await bundledService()
  })

  it('reads on from its memory, says how far that goes, and promises no more than it has', async () => {
    const database = await createMigratedDatabase()
    onTestFinished(() => database.drop({ allowOpen: true }))
    const network = await createFaultyNetwork(database.connectionString)
    onTestFinished(() => network.close())
    const starter = startedForTest(service, { DATABASE_URL: network.connectionString })
    // Another node projects, and is not cut off: one that projects goes on from what it has folded, which may be more.
    await projectingNode([await starter.start({ DATABASE_URL: database.connectionString }).ready()])
    const node = await starter.start().ready()
    const { http } = node
    const first = await http.post('/v1/operations/op-1/reports', body)
    const second = await http.post('/v1/operations/op-2/reports', body)
    const positionOf = (answer: typeof first) => String(answer.body.position)
    await until('both are in the read model', patienceMs, async () => {
      const { status } = await http.get(`/v1/operations/op-2?minPosition=${positionOf(second)}`)
      return status === 200
    })
    network.refuse()
    network.stall()

    // From memory, so before what only the database can say, and it says nothing.
    const order: string[] = []
    const other = new WaybillHttp(node.url)
    const asked = other.get('/v1/operations/op-3').finally(() => order.push('database'))
    const read = await http.get('/v1/operations/op-1').finally(() => order.push('memory'))
    expect([read.status, read.body.revision], read.text).toEqual([200, 1])
    expect(read.headers['waybill-position']).toBe(positionOf(first))
    expect(order).toEqual(['memory'])
    const own = await http.get(`/v1/operations/op-1?minPosition=${positionOf(first)}`)
    expect([own.status, own.body.revision], own.text).toEqual([200, 1])
    const beyond = await http.get(`/v1/operations/op-1?minPosition=${positionOf(second)}`)
    expect([beyond.status, beyond.body.code], beyond.text).toEqual([503, 'read_model_unavailable'])
    const unheard = await asked
    other.close()
    expect(unheard.status, unheard.text).toBe(503)
    const strong = await http.get('/v1/operations/op-1?consistency=strong')
    expect([strong.status, strong.body.code], strong.text).toEqual([503, 'log_unavailable'])

    network.cut()
    network.accept()
    await until('it reads all again', patienceMs, async () => {
      const { status } = await http.get(`/v1/operations/op-1?minPosition=${positionOf(second)}`)
      return status === 200
    })
  })
})
