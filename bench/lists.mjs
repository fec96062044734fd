// Lists of 50 out of many operations: milliseconds by kind of question, one at a time. Needs a build.
//   node bench/lists.mjs [--rows 1000000] [--rounds 60]     DATABASE_URL: use this empty database, not an embedded server
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { startEmbeddedPostgres } from '../dist/postgres/embedded.js'
import { CheckpointSignal } from '../dist/projections/checkpointSignal.js'
import { metadataFacet, themeFacet } from '../dist/projections/facets.js'
import { createReadModel } from '../dist/projections/postgresReadModel.js'
import { migrateReadModel } from '../dist/projections/projections.js'

const { values: options } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '60' } },
})
const rowCount = Number(options.rows)
const rounds = Number(options.rounds)
const dataDir = process.env.DATABASE_URL === undefined ? await mkdtemp(join(tmpdir(), 'waybill-bench-')) : null
const server = dataDir === null ? null : await startEmbeddedPostgres({ dataDir })
const connectionString = process.env.DATABASE_URL ?? server.connectionString
const admin = new pg.Client({ connectionString })
const startMs = Date.UTC(2026, 0, 1)

/** A state as operation/stateJson.ts writes it, so that rows have their size and can be answered. */
const stateText = JSON.stringify({
  stateVersion: 1,
  pipeline: { name: 'invoice', version: 1 },
  revision: '5',
  id: 'op',
  theme: null,
  state: 'active',
  tracks: {
    main: {
      phase: 'active',
      status: 'status1',
      since: '2026-01-01T00:00:00.000Z',
      by: 'ocr',
      reached: ['new', 'status1'],
      sequences: { ocr: 4, intake: 1 },
      outcome: null,
    },
  },
  held: [],
  data: {},
  metadata: {},
  dataBytesMax: 2000,
  metadataBytesMax: 100,
  lastHash: '0'.repeat(64),
  openedAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  openedBy: 'k',
})

/**
 * Three pipelines: `invoice` is most of it, `letter` was given up half-way through the year, `parcel` is young. In each,
 * old operations are done, a few failed, and few of those stuck in `new` are recent.
 */
async function fill() {
  const shapes = []
  for (const pipeline of ['invoice', 'letter', 'parcel']) {
    for (const status of ['new', 'status1', 'status2', 'status3', 'done', 'broken']) {
      for (const second of pipeline === 'invoice' ? [null, 'queued', 'passed', 'suspect'] : [undefined]) {
        const state = status === 'done' ? 'succeeded' : status === 'broken' ? 'failed' : 'active'
        const tracks = second === undefined ? { main: status } : { main: status, fraud: second }
        shapes.push({ id: shapes.length, pipeline, state, tracks, main: status })
      }
    }
  }
  const of = (pipeline, main) => shapes.filter((shape) => shape.pipeline === pipeline && shape.main === main)
  const size = 20_000
  for (let from = 0; from < rowCount; from += size) {
    const columns = { ids: [], shapes: [], updated: [], opened: [], facets: [] }
    for (let index = from; index < Math.min(rowCount, from + size); index += 1) {
      const age = index / rowCount
      const draw = random()
      const pipeline = age < 0.5 ? (draw < 0.3 ? 'letter' : 'invoice') : age > 0.9 && draw < 0.5 ? 'parcel' : 'invoice'
      const step = random()
      // The last tenth is under way; before it, one in ten thousand is stuck.
      const main =
        age > 0.9
          ? ['new', 'status1', 'status2', 'status3', 'done'][Math.floor(step * 5)]
          : step < 0.0001
            ? 'new'
            : step < 0.002
              ? 'broken'
              : 'done'
      const candidates = of(pipeline, main)
      const shape = candidates[Math.floor(random() * candidates.length)]
      columns.ids.push(`op-${Math.floor(random() * 2 ** 48).toString(36)}-${index}`)
      columns.shapes.push(shape.id)
      columns.opened.push(startMs + index * 30)
      columns.updated.push(startMs + index * 30 + Math.floor(random() * 3_600_000))
      const facets = [metadataFacet('tenant', `t${index % 20}`), metadataFacet('batch', `b${Math.floor(index / 100)}`)]
      if (index % 3 === 0) facets.push(themeFacet(index % 3000 === 0 ? 'rare' : 'common'))
      columns.facets.push(`{${facets.join(',')}}`)
    }
    await admin.query(
      `INSERT INTO waybill_read.operations (id, shape, updated_at, opened_at, revision, position, facets, state, data, metadata)
       SELECT v.id, v.shape, v.updated, v.opened, 5, 0, v.facets::int[],
              replace($6, '"theme":null', CASE WHEN (n - 1 + $7::int) % 3000 = 0 THEN '"theme":"rare"' ELSE '"theme":"common"' END),
              jsonb_build_object('document', repeat(md5(v.id), 30))::text,
              json_build_object('tenant', 't' || ((n - 1 + $7) % 20), 'batch', 'b' || ((n - 1 + $7) / 100))::text
       FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) WITH ORDINALITY
         AS v (id, shape, updated, opened, facets, n)`,
      [columns.ids, columns.shapes, columns.updated, columns.opened, columns.facets, stateText, from],
    )
  }
  await admin.query(
    `INSERT INTO waybill_read.shapes (id, pipeline, state, tracks, operations)
     SELECT v.id, v.pipeline, v.state, v.tracks, (SELECT count(*) FROM waybill_read.operations o WHERE o.shape = v.id)
     FROM json_to_recordset($1) AS v (id bigint, pipeline text, state text, tracks jsonb)`,
    [JSON.stringify(shapes)],
  )
  await admin.query('VACUUM ANALYZE waybill_read.operations')
}

let seed = 1
function random() {
  seed = (seed * 48_271) % 2_147_483_647
  return seed / 2_147_483_647
}

const at = (share) => new Date(startMs + rowCount * 30 * share).toISOString()
const questions = {
  'newest of all': { sort: '-updatedAt' },
  'oldest of all': { sort: 'updatedAt' },
  'pipeline + status': { sort: '-updatedAt', pipeline: 'invoice', status: 'status1' },
  'pipeline + state': { sort: '-updatedAt', pipeline: 'invoice', state: 'failed' },
  'pipeline given up + state': { sort: '-updatedAt', pipeline: 'letter', state: 'succeeded' },
  'status stuck, oldest first': { sort: 'updatedAt', pipeline: 'invoice', status: 'new' },
  'track + status, page in the midst': {
    sort: '-updatedAt',
    track: 'fraud',
    status: 'suspect',
    after: { value: at(0.5), id: 'op-5' },
  },
  'state + updatedBefore': { sort: '-updatedAt', state: 'active', updatedBefore: at(0.5) },
  'newest opened, pipeline + status': { sort: '-openedAt', pipeline: 'invoice', status: 'done' },
  'newest opened, state + updatedAfter': { sort: '-openedAt', state: 'active', updatedAfter: at(0.95) },
  'by id, pipeline + status': { sort: 'id', pipeline: 'invoice', status: 'done' },
  'by id, rare status': { sort: 'id', pipeline: 'letter', status: 'new' },
  'id prefix + state': { sort: '-updatedAt', idPrefix: 'op-abc', state: 'succeeded' },
  'common metadata + status': { sort: '-updatedAt', metadata: { tenant: 't7' }, status: 'done' },
  'rare metadata + pipeline': { sort: '-updatedAt', metadata: { batch: 'b77' }, pipeline: 'invoice' },
  'common theme + state': { sort: '-updatedAt', theme: 'common', state: 'active' },
  'rare theme + pipeline': { sort: '-updatedAt', theme: 'rare', pipeline: 'invoice' },
}

try {
  await migrateReadModel(connectionString)
  await admin.connect()
  const { rows } = await admin.query('SELECT count(*) AS count FROM waybill_read.operations')
  if (Number(rows[0].count) === 0) await fill()
  const sizes = await admin.query(
    `SELECT relname, pg_size_pretty(pg_total_relation_size(oid)) AS size FROM pg_class
     WHERE relnamespace = 'waybill_read'::regnamespace AND relname LIKE 'operations%' ORDER BY relname`,
  )
  for (const { relname, size } of sizes.rows) process.stdout.write(`${relname.padEnd(40)} ${size}\n`)
  const readModel = createReadModel({ connectionString, logId: 'bench', signal: new CheckpointSignal() })
  process.stdout.write(`\n${'question'.padEnd(38)} rows     p50     p99     max ms\n`)
  for (const [name, question] of Object.entries(questions)) {
    const times = []
    let found = 0
    for (let round = 0; round < rounds; round += 1) {
      const started = performance.now()
      const { value } = await readModel.operations({ pageSize: 50, ...question })
      times.push(performance.now() - started)
      found = value.length
    }
    times.sort((left, right) => left - right)
    const quantile = (share) =>
      times[Math.min(times.length - 1, Math.floor(times.length * share))].toFixed(1).padStart(7)
    process.stdout.write(
      `${name.padEnd(38)} ${String(found).padStart(4)} ${quantile(0.5)} ${quantile(0.99)} ${quantile(1)}\n`,
    )
  }
  await readModel.close()
} finally {
  await admin.end()
  await server?.stop()
  if (dataDir !== null) await rm(dataDir, { recursive: true, force: true })
}
