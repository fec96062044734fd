import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Binaries } from './binaries.ts'
import { EmbeddedPostgresError } from './errors.ts'
import type { ServerLog } from './serverLog.ts'
import { readPostmasterFile, type ServerProcess, spawnServer, stopServer } from './serverProcess.ts'
import type { ServerUser } from './serverUser.ts'

export interface Launch {
  readonly binaries: Binaries
  readonly user: ServerUser | null
  readonly clusterDirectory: string
  /** All settings but the port. */
  readonly settings: Readonly<Record<string, string>>
  readonly serverLog: ServerLog
  readonly log: (message: string) => void
  /** Default: asks the system for one. */
  readonly findPort?: () => Promise<number>
}

const PORT_ATTEMPTS_MAX = 10
/** Recovery after a power cut reads at most `max_wal_size` of WAL; a slow disk may take minutes over it. */
const START_TIMEOUT_MS = 15 * 60_000
/** A postmaster that was killed leaves children that notice within moments; until then nobody may start. */
const LEFTOVERS_TIMEOUT_MS = 15_000
const PROGRESS_INTERVAL_MS = 5_000

/** Starts the server on a free port and returns when it accepts connections. */
export async function launchServer(launch: Launch): Promise<{ server: ServerProcess; port: number }> {
  const { serverLog, clusterDirectory, binaries, user } = launch
  const leftoversDeadline = performance.now() + LEFTOVERS_TIMEOUT_MS
  let taken = 0
  for (;;) {
    const logged = await serverLog.size()
    const port = await (launch.findPort ?? freePort)()
    const settings = { ...launch.settings, port: String(port) }
    const server = await spawnServer({ binaries, user, clusterDirectory, settings, logFile: serverLog.path })
    if (await becomesReady(server, launch)) return { server, port }
    const words = await serverLog.since(logged)
    // Between our finding the port free and PostgreSQL's taking it, anybody may have been faster.
    if (/could not (bind|create any TCP\/IP sockets)/.test(words) && taken < PORT_ATTEMPTS_MAX) {
      taken += 1
      continue
    }
    if (/shared memory block .* is still in use/.test(words) && performance.now() < leftoversDeadline) {
      await delay(100)
      continue
    }
    throw new EmbeddedPostgresError(`PostgreSQL did not start. Its log, ${serverLog.path}, ends in:\n${words}`)
  }
}

async function becomesReady(server: ServerProcess, { binaries, clusterDirectory, log }: Launch): Promise<boolean> {
  const start = performance.now()
  let nextProgress = PROGRESS_INTERVAL_MS
  while (!server.hasEnded()) {
    const file = await readPostmasterFile(clusterDirectory)
    if (file?.pid === server.pid && file.status === 'ready') return true
    const waited = performance.now() - start
    if (waited >= START_TIMEOUT_MS) {
      await stopServer(binaries, server.pid, PROGRESS_INTERVAL_MS, server.hasEnded)
      throw new EmbeddedPostgresError(`PostgreSQL was not ready after ${Math.round(waited / 60_000)} minutes.`)
    }
    if (waited >= nextProgress) {
      log(`PostgreSQL is starting; after a crash it first recovers (${Math.round(waited / 1_000)} s so far)`)
      nextProgress += PROGRESS_INTERVAL_MS
    }
    await delay(20)
  }
  return false
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening, failed) => {
    server.on('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  const address = server.address()
  await new Promise((closed) => server.close(closed))
  if (address === null || typeof address === 'string') throw new Error('A listening socket has no port')
  return address.port
}
