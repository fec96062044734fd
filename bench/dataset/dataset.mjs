// A Waybill with many operations and events, on a server of its own; kept in a folder when there is one to keep it in.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../dist/postgres/embedded.js'
import { dropDatabases } from '../parties/databases.mjs'
import { startParty } from '../parties/parties.mjs'
import { countInAny, fill } from './fill.mjs'

/**
 * Opens it, filled first where it is not yet. Throws when the folder holds fewer events, or was not filled to its end.
 * @returns `info`: operations, those of pipeline `any`, events, how long filling took and when it was
 */
export async function openDataset(bench, { operations, events }) {
  const dataDir = bench.dataDir ?? join(bench.scratch, 'dataset')
  const file = join(dataDir, 'dataset.json')
  const dataset = { dataDir, server: null, party: null, info: null }
  const open = async () => {
    dataset.server = await startEmbeddedPostgres({ dataDir })
    const database = dataset.server.connectionString
    dataset.party = await startParty('waybill', { server: dataset.server, operations: 0, database, ...bench.common })
  }
  const close = async () => {
    await dataset.party?.stop()
    if (dataset.server !== null) await dropDatabases(dataset.server)
    await dataset.server?.stop()
  }
  try {
    dataset.info = await readInfo(file)
    await open()
    const { info, party } = dataset
    if (info === null) {
      if ((await party.mark()) > 0) throw new Error(`${dataDir} was not filled to its end: remove it`)
      dataset.info = await fillAnew({ bench, server: dataset.server, party, operations, events })
      await writeFile(file, JSON.stringify(dataset.info, null, 2))
    } else if (info.operations !== operations || info.events < events * 0.99) {
      throw new Error(`${dataDir} has ${info.operations} operations and ${info.events} events: name another folder`)
    }
    await dataset.party.settle()
  } catch (error) {
    await close()
    throw error
  }
  return Object.assign(dataset, { open, close })
}

async function readInfo(file) {
  const text = await readFile(file, 'utf8').catch(() => null)
  return text === null ? null : JSON.parse(text)
}

async function fillAnew({ bench, server, party, operations, events }) {
  const { connectionString } = server
  const startedAt = new Date().toISOString()
  bench.say(`filling ${operations} operations and ${events} events`)
  const filled = await fill({ connectionString, party, operations, events, bodies: bench.mixed, say: bench.say })
  const endedAt = new Date().toISOString()
  bench.say(`filled in ${Math.round(filled.settledS)} s; now VACUUM ANALYZE, as it would have been done meanwhile`)
  const { rows } = await party.client.query(
    `SELECT format('%I.%I', schemaname, relname) AS name FROM pg_stat_user_tables WHERE schemaname LIKE 'waybill%'`,
  )
  for (const { name } of rows) await party.client.query(`VACUUM (ANALYZE) ${name}`)
  await party.client.query('CHECKPOINT')
  return { operations, inAny: countInAny(operations), ...filled, startedAt, endedAt }
}
