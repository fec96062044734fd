import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProcess } from './process.mjs'

/**
 * A Waybill with an embedded PostgreSQL and an empty data directory of its own, gone after `stop`.
 * @param {Record<string, string | undefined>} environment
 */
export async function startOwnService(environment = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'waybill-bench-'))
  const service = await startProcess({
    script: '../../dist/main.js',
    environment: { WAYBILL_DATA_DIR: dataDir, ...environment },
  })
  const stop = async () => {
    await service.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  return { ...service, stop }
}
