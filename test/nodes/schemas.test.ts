import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { dumpStructure } from '../../scripts/sqlDump.mjs'
import { foldVersion } from '../../src/projections/projectionStore.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { patienceMs } from '../support/patience.ts'
import type { BuiltService } from './support/builtService.ts'
import { bundledService } from './support/bundledService.ts'
import { startedForTest } from './support/startedForTest.ts'
import { until } from './support/until.ts'
import { expectSoundLog, foldAll, readWholeLog } from './support/wholeLog.ts'

const folder = new URL('schemas/', import.meta.url)
const keptStates = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory())

/** As scripts/sampleData.mjs writes it. */
interface Answers {
  readonly operations: readonly { readonly id: string; readonly position: string }[]
  readonly counts: unknown
  readonly pipelines: unknown
  readonly events: readonly { readonly position: string }[]
  readonly receipts: readonly {
    readonly path: string
    readonly key: string
    readonly body: unknown
    readonly receipt: unknown
  }[]
}

/** Without the members that answers have got since. */
function asThen({ blocked: _blocked, tracks, ...operation }: Record<string, unknown>) {
  return {
    ...operation,
    tracks: Object.fromEntries(
      Object.entries(tracks ?? {}).map(
        ([name, { next: _next, heardAt: _heardAt, observedAt: _observedAt, held, ...track }]) => [
          name,
          {
            ...track,
            held: held.map(({ waitingFor: _waitingFor, ...report }: Record<string, unknown>) => report),
          },
        ],
      ),
    ),
  }
}

const asNow = (operation: Record<string, unknown>) => operation

describe('the schema', () => {
  let database: TestDatabase

  beforeEach(async () => {
    database = await createTestDatabase()
    onTestFinished(() => database.drop({ allowOpen: true }))
  })

  it('is what test/nodes/schemas/structure.txt says once all migrations have run (else: scripts/dumpSchema.mjs)', async () => {
    const service = await bundledService()
    await startedForTest(service, { DATABASE_URL: database.connectionString }).start().listening()
    expect(await structure()).toBe(await readFile(new URL('structure.txt', folder), 'utf8'))
  })

  it('is kept with data, as of each time that it landed', () => {
    expect(keptStates.length).toBeGreaterThan(0)
  })

  describe.each(keptStates.map(({ name }) => name))('of %s', (name) => {
    let service: BuiltService
    let answers: Answers

    beforeAll(async () => {
      service = await bundledService()
      answers = JSON.parse(await readFile(new URL(`${name}/answers.json`, folder), 'utf8'))
    })

    it('becomes the one of today, with every answer as it was, from the first node that starts on it', async () => {
      await load(await readFile(new URL(`${name}/dump.sql`, folder), 'utf8'))
      const starter = startedForTest(service, { DATABASE_URL: database.connectionString })
      const node = await starter.start().ready()
      const { http } = node
      // Rows of an older fold are shown as they are, and folded anew meanwhile.
      await until('the rows are folded anew', patienceMs, async () => {
        const { state, foldVersion: by } = (await http.get('/v1/projections/operations')).body
        return state === 'running' && by === foldVersion
      })
      expect(await structure()).toBe(await readFile(new URL('structure.txt', folder), 'utf8'))

      const position = answers.events.at(-1)?.position
      const list = await http.get(`/v1/operations?sort=id&pageSize=1000&minPosition=${position}`)
      const shown = answers.operations.some((operation) => 'blocked' in operation) ? asNow : asThen
      expect((list.body.operations as Record<string, unknown>[]).map(shown), list.text).toEqual(answers.operations)
      for (const operation of answers.operations) {
        for (const query of ['', '?consistency=strong']) {
          const { body } = await http.get(`/v1/operations/${operation.id}${query}`)
          expect(shown(body)).toEqual(operation)
          expect(body).toMatchObject({ blocked: false })
        }
      }
      expect((await http.get('/v1/stats')).body.pipelines).toEqual(answers.counts)
      expect((await http.get('/v1/pipelines')).body.pipelines).toEqual(answers.pipelines)
      expect((await http.get('/v1/events?pageSize=1000')).body.events).toEqual(answers.events)
      // A retry at any age gets its first receipt; one that appended nothing is decided anew, and again appends nothing.
      for (const { path, key, body, receipt } of answers.receipts) {
        expect((await http.post(path, body, { 'idempotency-key': key })).body).toEqual(receipt)
      }
      const log = await readWholeLog(database.connectionString)
      expectSoundLog(log)
      expect(log.events).toHaveLength(answers.events.length)
      expect(foldAll(log).size).toBe(answers.operations.length)

      const more = await http.post('/v1/operations/linear-2/reports', { service: 'later', status: 'checked' })
      expect([more.status, more.body.outcome], more.text).toEqual([200, 'applied'])
      expectSoundLog(await readWholeLog(database.connectionString))
    })
  })

  async function structure(): Promise<string> {
    const client = new pg.Client({ connectionString: database.connectionString })
    await client.connect()
    try {
      return await dumpStructure(client)
    } finally {
      await client.end()
    }
  }

  async function load(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: database.connectionString })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
})
