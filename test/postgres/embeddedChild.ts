// A process of its own that starts the embedded PostgreSQL as Waybill does, for tests that kill it. Says on standard output,
// in JSON lines, what happened; stops on SIGTERM, like Waybill, and lets SIGINT pass, like one that is draining.
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

function say(message: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

process.on('SIGINT', () => say({ event: 'interrupted' }))

try {
  const server = await startEmbeddedPostgres({
    dataDir: process.argv[2] ?? '',
    log: (message) => say({ event: 'log', message }),
    settings: { min_wal_size: '80MB' },
  })
  const keepRunning = setInterval(() => undefined, 60_000)
  process.on('SIGTERM', async () => {
    await server.stop()
    clearInterval(keepRunning)
    say({ event: 'stopped' })
  })
  process.on('SIGUSR2', () => process.exit(3))
  server.ended.then(() => say({ event: 'ended' })).catch(() => undefined)
  say({ event: 'ready', pid: server.pid, connectionString: server.connectionString })
} catch (error) {
  if (!(error instanceof Error)) throw error
  say({ event: 'failed', name: error.name, message: error.message })
  process.exitCode = 1
}
